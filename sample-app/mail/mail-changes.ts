import { definePgChannel, pgTableChangeSchema } from 'nest-pg-notify/triggers';

/** Mails were sent, as the trigger on their table says. */
export const MailChanges = definePgChannel('mail_changes', { schema: pgTableChangeSchema<string>() });
