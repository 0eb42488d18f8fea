/** Deliveries as the storage thread sends them, read back on the event loop's side. */
import type { FetchedDeliveries, SessionNumber } from '../broker/changes.ts';
import { unpackDelivery, unpackMessage } from './message-form.ts';
import { Unpacker } from './packed.ts';

/** Reads what `BrokerFile.fetch` packed. Payloads are copied: one that is kept does not keep the rest. */
export function unpackFetched(
  session: SessionNumber,
  packed: Uint8Array,
  more: boolean,
): FetchedDeliveries {
  const from = new Unpacker(packed);
  const deliveries: FetchedDeliveries['deliveries'][number][] = [];
  while (!from.done) {
    const delivery = unpackDelivery(
      from.number(),
      from.number(),
      from.byte(),
      from.size(),
      from.text(),
    );
    const content = unpackMessage(from.text(), from.data(), new Uint8Array(from.data()));
    deliveries.push({ ...delivery, content });
  }
  return { session, deliveries, more };
}
