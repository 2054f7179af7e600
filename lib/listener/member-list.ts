/** Members in the order in which they came. They come and go at the same cost however many there are. */
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

  /** Returns whether it was one. */
  delete(member: T): boolean {
    this.listed = undefined;
    return this.members.delete(member);
  }

  /** Those that there are now; it does not change when others come or go, so it can be walked meanwhile. */
  get all(): readonly T[] {
    return (this.listed ??= [...this.members]);
  }
}
