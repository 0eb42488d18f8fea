/**
 * What TLS alone allows: accepts with the certificate that it is given and the TLS settings of the broker,
 * and answers the first bytes of each connection with a fixed CONNACK of MQTT 3.1.1. It reads no packet
 * and checks no token.
 *
 *     bun scripts/bench/bare-tls.ts PORT CERT KEY
 */
import type { SocketHandler } from 'bun';
import { loadTlsMaterial } from '../../core/net/certificate.ts';
import { createTlsContext, upgradeToTls } from '../../core/net/tls.ts';

const CONNACK = Uint8Array.of(0x20, 2, 0, 0);
const [port, cert = '', key = ''] = process.argv.slice(2);

const material = await loadTlsMaterial({
  certificates: [{ cert, key }],
  clientAuthorities: undefined,
});
const context = createTlsContext({ material, clientCertificates: 'off' });
const secured: SocketHandler<undefined> = {
  data: (socket) => void socket.write(CONNACK),
  error: (socket) => socket.terminate(),
};
Bun.listen<undefined>({
  ...{ hostname: '127.0.0.1', port: Number(port) },
  socket: {
    open(socket) {
      socket.setNoDelay(true);
      upgradeToTls(socket, context, secured, undefined, new Uint8Array(0));
    },
    drain() {}, // Bun wants one of two handlers, and `data` would be called with what is encrypted
    error: (socket) => socket.terminate(),
  },
});
