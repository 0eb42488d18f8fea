/**
 * Golden bytes: each Control Packet in each version, spelled by hand from the standard. They are read
 * into `packet`, and `packet` is written as just these bytes.
 */
import { ReasonCode } from '../../core/mqtt/reason-code.ts';
import { hex } from './bytes.ts';
import { connacks, connects } from './connect-vectors.ts';
import { acknowledgements, publishes } from './publish-vectors.ts';
import { subscriptions } from './subscribe-vectors.ts';
import { ALL, type Vector, vector } from './vector.ts';

const others: readonly Vector[] = [
  vector('PINGREQ', ALL, hex`c0 00`, { type: 'pingreq' }),
  vector('PINGRESP', ALL, hex`d0 00`, { type: 'pingresp' }),
  vector('DISCONNECT', ALL, hex`e0 00`, { type: 'disconnect', reasonCode: ReasonCode.Success }),
  vector('DISCONNECT with a Reason Code alone', [5], hex`e0 01 04`, {
    type: 'disconnect',
    reasonCode: ReasonCode.DisconnectWithWillMessage,
  }),
  vector(
    'DISCONNECT with every property',
    [5],
    hex`e0 18 9d 16 11 0000000a 1c 0003 's/r' 1f 0001 'r' 26 0001 'b' 0001 '2'`,
    {
      type: 'disconnect',
      reasonCode: ReasonCode.ServerMoved,
      sessionExpiryInterval: 10,
      reasonString: 'r',
      serverReference: 's/r',
      userProperties: [['b', '2']],
    },
  ),
  vector('AUTH of Success without anything', [5], hex`f0 00`, {
    type: 'auth',
    reasonCode: ReasonCode.Success,
    authenticationMethod: undefined,
    authenticationData: undefined,
  }),
  vector(
    'AUTH with every property',
    [5],
    hex`f0 16 19 14 15 0003 'JWT' 16 0001 ff 1f 0001 'r' 26 0001 'k' 0000`,
    {
      type: 'auth',
      reasonCode: ReasonCode.ReAuthenticate,
      authenticationMethod: 'JWT',
      authenticationData: Buffer.from([255]),
      reasonString: 'r',
      userProperties: [['k', '']],
    },
  ),
];

export const vectors: readonly Vector[] = [
  ...connects,
  ...connacks,
  ...publishes,
  ...acknowledgements,
  ...subscriptions,
  ...others,
];
