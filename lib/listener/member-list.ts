/**
 * Members in the order in which they were added. Adding and removing one takes constant time. Most lists have a single
 * member, so a set is made for the second one only.
 */
export class MemberList<T> {
  private members: Set<T> | undefined;
  private listed: readonly T[] | undefined = [];

  get size(): number {
    return this.members?.size ?? this.all.length;
  }

  add(member: T): void {
    if (this.size === 0) {
      this.members = undefined;
      this.listed = [member];
      return;
    }
    this.members = (this.members ?? new Set(this.all)).add(member);
    this.listed = undefined;
  }

  /** Returns whether it was a member. */
  delete(member: T): boolean {
    const members = this.members ?? new Set(this.all);
    if (!members.delete(member)) return false;
    this.members = members;
    this.listed = undefined;
    return true;
  }

  /** A snapshot of the members. It does not change while it is iterated. */
  get all(): readonly T[] {
    return (this.listed ??= [...this.members!]);
  }
}
