/** What the recipe with `@nestjs/outbox` needs of it: the package is not among those that are installed here. */
declare module '@nestjs/outbox' {
  export class OutboxRelay {
    notify(): void;
  }
}
