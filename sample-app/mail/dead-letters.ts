import { definePgChannel } from 'nest-pg-notify';

/** The dead letters of a consumer have become more or fewer. */
export const DeadLetters = definePgChannel('dead_letters', { fold: true });
