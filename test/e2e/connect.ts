/** A client of MQTT.js that a test holds on to. */
import { join } from 'node:path';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { type Broker, run } from './executable.ts';

/** Connects `user` over TLS in MQTT 5, with a token that `bellhop token` mints unless `more` has another. */
export async function connect(
  broker: Broker,
  user: string,
  more: IClientOptions = {},
): Promise<MqttClient> {
  const minted = async () => (await run(broker.folder, ['token', '--sub', user])).out.trim();
  return mqtt.connectAsync(`mqtts://localhost:${broker.mqttsPort}`, {
    username: 'JWT',
    password: more.password ?? (await minted()),
    protocolVersion: 5,
    ca: await Bun.file(join(broker.folder.path, 'data', 'tls.crt')).text(),
    reconnectPeriod: 0,
    ...more,
  });
}
