// What the fast lane out needs to be read: see Exchange.onCells.
export { EventReader } from '../wire/event-reader.ts';
export { type EventName, eventFlags, eventTypes } from '../wire/layout.ts';
export { type RejectCode, rejects } from '../wire/rejects.ts';
