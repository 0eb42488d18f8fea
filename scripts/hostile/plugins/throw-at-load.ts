import { defineHandler } from 'bellhop';

/** Throws while it is imported. */
if (process.pid > 0) throw new Error('thrown while it was imported');

export default defineHandler({ topic: 'hostile', run() {} });
