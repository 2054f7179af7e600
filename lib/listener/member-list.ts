/** Members in the order in which they were added. Adding and removing one takes constant time. */
export class MemberList<T> {
  private readonly members = new Set<T>();
  private listed: readonly T[] | undefined;

  get size(): number {
    return this.members.size;
  }

  add(member: T): void {
    this.members.add(member);
    this.listed = undefined;
  }

  /** Returns whether it was a member. */
  delete(member: T): boolean {
    this.listed = undefined;
    return this.members.delete(member);
  }

  /** A snapshot of the members. It does not change while it is iterated. */
  get all(): readonly T[] {
    return (this.listed ??= [...this.members]);
  }
}
