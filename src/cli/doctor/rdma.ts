/** RDMA: the library, what the kernel can do, the devices with their ports and GIDs. Asks files and the loader, no device. */
import { execFileSync } from 'node:child_process';
import { processorSet, type SystemTree } from './system-tree.ts';

const libraryName = 'libibverbs.so.1';
// A table has hundreds of entries, of which the first are used.
const gidsLookedAt = 256;
const noGid = /^[0:]*$|^fe80:0000:0000:0000:0000:0000:0000:0000$/;
// What RoCE's own headers take of an Ethernet frame at most (the kernel's iboe_get_mtu).
const roceHeaderBytes = 96;
const rdmaMtus = [4096, 2048, 1024, 512, 256] as const;
/** PCI class "InfiniBand controller". */
const infinibandClass = /^0x0207/;

export interface Gid {
  readonly index: number;
  readonly gid: string;
  readonly type: 'InfiniBand' | 'RoCE v1' | 'RoCE v2';
  readonly family: 'IPv4' | 'IPv6' | 'link-local' | 'InfiniBand';
  readonly netdev: string | undefined;
}

export interface Port {
  readonly number: number;
  /** As the kernel names it: DOWN, INIT, ARMED, ACTIVE. */
  readonly state: string;
  readonly physicalState: string;
  readonly linkLayer: string;
  readonly rate: string;
  readonly activeMtu: number | undefined;
  readonly netdev: string | undefined;
  readonly netdevMtu: number | undefined;
  /** 0 where no subnet manager has been. */
  readonly lid: number | undefined;
  readonly gids: readonly Gid[];
  /** The one that the verbs transport takes unless it is told another. */
  readonly gidIndex: number | undefined;
}

export interface RdmaDevice {
  readonly name: string;
  /** On top of a network interface, without an adapter: rxe, siw. */
  readonly software: boolean;
  readonly driver: string | undefined;
  readonly numaNode: number | undefined;
  /** Processors that are near to it. */
  readonly nearCores: string;
  /** The link to the adapter, as it is and as it could be. */
  readonly pci: { readonly now: string; readonly most: string } | undefined;
  /** /dev/infiniband/uverbsN. */
  readonly file: string | undefined;
  readonly access: 'granted' | 'denied' | 'missing';
  readonly ports: readonly Port[];
}

export interface Rdma {
  readonly library: {
    readonly loadable: boolean;
    readonly problem: string | undefined;
    /** Drivers of adapters that the library knows. */
    readonly providers: readonly string[];
  };
  /** rdma_rxe in the running kernel. */
  readonly softRoce: 'loaded' | 'available' | 'absent' | 'unknown';
  readonly numaNodes: number;
  /** Processors that this process may run on. */
  readonly allowedCores: string;
  /** InfiniBand adapters on the PCI bus that no driver made a device of. */
  readonly adaptersWithoutDevice: readonly string[];
  readonly devices: readonly RdmaDevice[];
}

/** What is asked of programs and the loader; a test answers itself. */
export interface Asked {
  /** Why the library cannot be loaded, undefined if it can. */
  readonly libraryProblem: () => string | undefined;
  /** What `ibv_devinfo` says about a device, undefined where there is no such program. */
  readonly deviceInfo: (device: string) => string | undefined;
}

const askedHere: Asked = {
  libraryProblem() {
    try {
      process.dlopen({ exports: {} }, libraryName);
      return undefined;
    } catch (error) {
      // It is no addon, which is found out after it has been loaded.
      const { message } = error as Error;
      return message.includes('did not self-register') ? undefined : message;
    }
  },
  deviceInfo(device) {
    try {
      const stdio = ['ignore', 'pipe', 'ignore'] as const;
      return execFileSync('ibv_devinfo', ['-d', device], { encoding: 'utf8', stdio: [...stdio] });
    } catch {
      return undefined; // Not installed, or the device cannot be opened: the MTU is worked out or stays unknown.
    }
  },
};

export function rdma(tree: SystemTree, asked: Asked = askedHere): Rdma {
  const problem = asked.libraryProblem();
  const devices = tree.list('sys/class/infiniband').map((name) => deviceOf(tree, name, asked));
  const providers = tree.list('etc/libibverbs.d').map((name) => name.replace(/\.driver$/, ''));
  return {
    library: { loadable: problem === undefined, problem, providers },
    softRoce: softRoceOf(tree),
    numaNodes: tree.list('sys/devices/system/node').filter((name) => /^node\d+$/.test(name)).length,
    allowedCores: /^Cpus_allowed_list:\s+(\S+)/m.exec(tree.text('proc/self/status') ?? '')?.[1] ?? '',
    adaptersWithoutDevice: tree.list('sys/bus/pci/devices').filter((slot) => {
      const folder = `sys/bus/pci/devices/${slot}`;
      return (
        infinibandClass.test(tree.text(`${folder}/class`) ?? '') &&
        tree.list(`${folder}/infiniband`).length === 0
      );
    }),
    devices,
  };
}

function softRoceOf(tree: SystemTree): Rdma['softRoce'] {
  if (tree.list('sys/module').includes('rdma_rxe')) return 'loaded';
  const folder = `lib/modules/${tree.text('proc/sys/kernel/osrelease') ?? ''}`;
  const known = tree.text(`${folder}/modules.dep`);
  if (known !== undefined) return known.includes('/rdma_rxe.ko') ? 'available' : 'absent';
  // A kernel that loads modules, whose folder we do not see: in a container, say.
  return tree.text('proc/modules') === undefined ? 'absent' : 'unknown';
}

function deviceOf(tree: SystemTree, name: string, asked: Asked): RdmaDevice {
  const folder = `sys/class/infiniband/${name}`;
  const verbs = tree
    .list('sys/class/infiniband_verbs')
    .find((entry) => tree.text(`sys/class/infiniband_verbs/${entry}/ibdev`) === name);
  const file = verbs === undefined ? undefined : `/dev/infiniband/${verbs}`;
  const node = tree.number(`${folder}/device/numa_node`);
  const software = tree.text(`${folder}/parent`) !== undefined;
  const mtus = activeMtus(asked.deviceInfo(name));
  return {
    name,
    software,
    driver: tree.target(`${folder}/device/driver`),
    numaNode: node === undefined || node < 0 ? undefined : node,
    nearCores:
      node === undefined || node < 0 ? '' : (tree.text(`sys/devices/system/node/node${node}/cpulist`) ?? ''),
    pci: pciOf(tree, `${folder}/device`),
    file,
    access: file === undefined ? 'missing' : tree.access(file),
    ports: tree
      .list(`${folder}/ports`)
      .map((port) => portOf(tree, `${folder}/ports/${port}`, Number(port), mtus)),
  };
}

/** "16.0 GT/s x16": speed and width. */
function pciOf(tree: SystemTree, folder: string): RdmaDevice['pci'] {
  const link = (which: string): string | undefined => {
    const speed = /^[\d.]+ GT\/s/.exec(tree.text(`${folder}/${which}_link_speed`) ?? '')?.[0];
    const width = tree.number(`${folder}/${which}_link_width`);
    return speed === undefined || width === undefined ? undefined : `${speed} x${width}`;
  };
  const [now, most] = [link('current'), link('max')];
  return now === undefined || most === undefined ? undefined : { now, most };
}

function activeMtus(info: string | undefined): ReadonlyMap<number, number> {
  const mtus = new Map<number, number>();
  for (const [, port, rest] of (info ?? '').matchAll(/port:\s+(\d+)([\s\S]*?)(?=port:\s|$)/g)) {
    const mtu = /active_mtu:\s+(\d+)/.exec(rest ?? '')?.[1];
    if (mtu !== undefined) mtus.set(Number(port), Number(mtu));
  }
  return mtus;
}

/** "4: ACTIVE" to "ACTIVE". */
function named(text: string | undefined): string {
  return text?.replace(/^\d+:\s*/, '') ?? 'unknown';
}

function portOf(tree: SystemTree, folder: string, number: number, mtus: ReadonlyMap<number, number>): Port {
  const linkLayer = tree.text(`${folder}/link_layer`) ?? 'unknown';
  const gids = gidsOf(tree, folder, linkLayer);
  const netdev =
    gids.find((gid) => gid.netdev !== undefined)?.netdev ?? tree.text(`${folder}/gid_attrs/ndevs/0`);
  const netdevMtu = netdev === undefined ? undefined : tree.number(`sys/class/net/${netdev}/mtu`);
  const lid = Number.parseInt(tree.text(`${folder}/lid`) ?? '', 16);
  return {
    number,
    state: named(tree.text(`${folder}/state`)),
    physicalState: named(tree.text(`${folder}/phys_state`)),
    linkLayer,
    rate: tree.text(`${folder}/rate`) ?? 'unknown',
    activeMtu: mtus.get(number) ?? (linkLayer === 'Ethernet' ? roceMtu(netdevMtu) : undefined),
    netdev,
    netdevMtu,
    lid: Number.isNaN(lid) ? undefined : lid,
    gids,
    gidIndex: preferredGid(gids, linkLayer),
  };
}

/** The largest RDMA message part that fits into frames of the interface. */
export function roceMtu(netdevMtu: number | undefined): number | undefined {
  if (netdevMtu === undefined) return undefined;
  return rdmaMtus.find((mtu) => mtu + roceHeaderBytes <= netdevMtu);
}

function gidsOf(tree: SystemTree, folder: string, linkLayer: string): Gid[] {
  return tree
    .list(`${folder}/gids`)
    .slice(0, gidsLookedAt)
    .flatMap((entry) => {
      const gid = tree.text(`${folder}/gids/${entry}`);
      if (gid === undefined || noGid.test(gid)) return [];
      const kind = tree.text(`${folder}/gid_attrs/types/${entry}`) ?? '';
      const type = linkLayer === 'InfiniBand' ? 'InfiniBand' : kind.includes('v2') ? 'RoCE v2' : 'RoCE v1';
      const netdev = tree.text(`${folder}/gid_attrs/ndevs/${entry}`);
      return [{ index: Number(entry), gid, type, family: familyOf(gid, linkLayer), netdev }];
    });
}

function familyOf(gid: string, linkLayer: string): Gid['family'] {
  if (linkLayer === 'InfiniBand') return 'InfiniBand';
  if (gid.startsWith('0000:0000:0000:0000:0000:ffff:')) return 'IPv4';
  return gid.startsWith('fe80:') ? 'link-local' : 'IPv6';
}

/** On InfiniBand the first; on Ethernet RoCE v2, an address before a link-local one, IPv4 before IPv6. */
function preferredGid(gids: readonly Gid[], linkLayer: string): number | undefined {
  if (linkLayer === 'InfiniBand') return gids[0]?.index;
  for (const family of ['IPv4', 'IPv6', 'link-local']) {
    const found = gids.find((gid) => gid.type === 'RoCE v2' && gid.family === family);
    if (found !== undefined) return found.index;
  }
  return undefined;
}

/** ffff:c612:4d01 as people write it. */
export function gidText({ gid, family }: Gid): string {
  if (family !== 'IPv4') return gid;
  const bytes = gid.slice(-9).replace(':', '').match(/../g);
  return (bytes ?? []).map((byte) => Number.parseInt(byte, 16)).join('.');
}

/** Whether this process may run somewhere else than near the device. */
export function runsFar(facts: Rdma, device: RdmaDevice): boolean {
  if (facts.numaNodes < 2 || device.nearCores === '') return false;
  const near = processorSet(device.nearCores);
  return processorSet(facts.allowedCores).some((core) => !near.includes(core));
}
