// BridgeProcess: relays what one cluster has committed to another one, its standby; the native bridge, its pid file, its log.
import { fromNative } from '../errors/errors.ts';
import type { NativeBridge, NativeBridgeConstructor, NativeBridgeSide } from '../native/cluster-types.ts';
import type { ClusterDescription } from './description.ts';
import { keyOf, membersText, tlsOf } from './member-process.ts';
import { sequencersText } from './role-process.ts';
import type { RolesDescription } from './roles-description.ts';

const lookMs = 250;

export interface BridgeProgress {
  /** The last position that the target has; and that the source has shown. Digits. */
  readonly relayed: string;
  readonly source: string;
  readonly entries: string;
  readonly probes: string;
  readonly sourceConnected: boolean;
  readonly targetConnected: boolean;
  /** Why it does not go on, or "". */
  readonly trouble: string;
}

/** Whose entries are relayed: a cluster's, or those of a deployment in roles, whose sequencers have the log. */
export type BridgeSource = ClusterDescription | RolesDescription;

function sideOf(description: BridgeSource): NativeBridgeSide {
  const key = keyOf(description);
  return {
    members: 'members' in description ? membersText(description) : sequencersText(description),
    cluster: description.name,
    transport: description.transport,
    // A deployment in roles has nobody who could fold the whole state into its results.
    scrubs: 'members' in description,
    ...(key !== undefined && { key }),
    ...tlsOf(description),
  };
}

export class BridgeProcess {
  readonly #bridge: NativeBridge;
  readonly #looking: NodeJS.Timeout;

  /** Begins at once; throws what the addon says. `log` hears of connections and of trouble. */
  constructor(
    Bridge: NativeBridgeConstructor,
    source: BridgeSource,
    target: ClusterDescription,
    log: (sentence: string) => void,
  ) {
    try {
      this.#bridge = new Bridge({ source: sideOf(source), target: sideOf(target) });
    } catch (error) {
      throw fromNative(error);
    }
    let last = '';
    this.#looking = setInterval(() => {
      const { relayed, sourceConnected, targetConnected, trouble } = this.progress();
      const reached = (is: boolean): string => (is ? 'connected' : 'not reached');
      const now = `source ${reached(sourceConnected)}, target ${reached(targetConnected)}${trouble === '' ? '' : `: ${trouble}`}`;
      if (now !== last) log(`${now}; relayed to position ${relayed}`);
      last = now;
    }, lookMs);
  }

  progress(): BridgeProgress {
    return JSON.parse(this.#bridge.progress()) as BridgeProgress;
  }

  stop(): void {
    clearInterval(this.#looking);
    this.#bridge.stop();
  }
}
