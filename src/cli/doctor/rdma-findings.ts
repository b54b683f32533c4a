/** What there is to say about RDMA: rows for the table, and findings. */
import { type Finding, Findings, type Row } from './finding.ts';
import type { Memory } from './memory.ts';
import { gidText, type Port, type Rdma, type RdmaDevice, runsFar } from './rdma.ts';

const memlockBytesMin = 64 * 2 ** 20;
const manual = 'docs/deploy-infiniband.md';
// With room for the headers of RoCE v2 around 4096 bytes.
const netdevMtuWanted = 4200;
const gidsShown = 6;

export function rdmaRows(facts: Rdma): Row[] {
  const { library, softRoce, devices } = facts;
  const drivers = library.providers.length === 0 ? 'no drivers' : `${library.providers.length} drivers`;
  return [
    ['libibverbs', library.loadable ? `loads, ${drivers}` : 'does not load'],
    [
      'soft-RoCE',
      {
        loaded: 'in the kernel',
        available: 'a module of this kernel',
        absent: 'not in this kernel',
        unknown: 'unknown',
      }[softRoce],
    ],
    ...(devices.length === 0 ? [['RDMA device', 'none'] as const] : devices.flatMap(deviceRows)),
  ];
}

function deviceRows(device: RdmaDevice): Row[] {
  const about = [
    device.software ? 'in software' : (device.driver ?? 'driver unknown'),
    device.numaNode === undefined ? undefined : `NUMA node ${device.numaNode} (cores ${device.nearCores})`,
    device.pci === undefined ? undefined : `PCIe ${device.pci.now}`,
    device.file === undefined ? 'no device file' : `${device.file} ${device.access}`,
  ];
  return [
    [`RDMA device ${device.name}`, about.filter((part) => part !== undefined).join(', ')],
    ...device.ports.flatMap(portRows),
  ];
}

function portRows(port: Port): Row[] {
  const about = [
    `${port.state} (${port.physicalState})`,
    port.linkLayer,
    port.rate,
    `MTU ${port.activeMtu ?? 'unknown'}`,
    port.netdev === undefined ? undefined : `over ${port.netdev} (MTU ${port.netdevMtu ?? 'unknown'})`,
    port.linkLayer === 'InfiniBand' ? `LID ${port.lid ?? 'unknown'}` : undefined,
  ];
  const shown = port.gids.slice(0, gidsShown).map((gid): Row => {
    const taken = gid.index === port.gidIndex ? ' (taken unless told otherwise)' : '';
    return [`    GID ${gid.index}`, `${gid.type}, ${gidText(gid)}${taken}`];
  });
  const more = port.gids.length - shown.length;
  return [
    [`  port ${port.number}`, about.filter((part) => part !== undefined).join(', ')],
    ...shown,
    ...(more > 0 ? [['    more GIDs', String(more)] as const] : []),
  ];
}

export function rdmaFindings(facts: Rdma, ram: Memory): readonly Finding[] {
  const found = new Findings();
  const some = facts.devices.length > 0;
  for (const slot of facts.adaptersWithoutDevice) {
    found.say(
      'advice',
      true,
      `the InfiniBand adapter in PCI slot ${slot} has no device`,
      `apt-get install rdma-core, then modprobe its driver (mlx5_ib, mlx4_ib …) and look at dmesg`,
    );
  }
  found.say(
    'advice',
    some && !facts.library.loadable,
    `an RDMA device, and libibverbs does not load: ${facts.library.problem}`,
    'apt-get install libibverbs1 ibverbs-providers',
  );
  found.say(
    'advice',
    some && facts.library.loadable && facts.library.providers.length === 0,
    'libibverbs has no driver for any device',
    'apt-get install ibverbs-providers',
  );
  found.say(
    'advice',
    some && typeof ram.memlockBytes === 'number' && ram.memlockBytes < memlockBytesMin,
    `an RDMA device, and only ${ram.memlockBytes} bytes of lockable memory: rings cannot be registered`,
    'ulimit -l unlimited, LimitMEMLOCK=infinity in the unit, --ulimit memlock=-1 for a container',
  );
  found.say(
    'option',
    !some && facts.adaptersWithoutDevice.length === 0,
    'no RDMA device: the bus uses shared memory and TCP',
    facts.softRoce === 'loaded' || facts.softRoce === 'available'
      ? 'to try verbs without an adapter: sudo docker/soft-roce/link up'
      : `to try verbs without an adapter: docker/soft-roce/run; with one: ${manual}`,
  );
  for (const device of facts.devices) {
    deviceFindings(found, facts, device);
    for (const port of device.ports) portFindings(found, device, port);
  }
  return found.list;
}

function deviceFindings(found: Findings, facts: Rdma, device: RdmaDevice): void {
  const { name, file, access, pci } = device;
  found.say('advice', file === undefined, `${name} cannot be used by programs`, 'modprobe ib_uverbs');
  found.say(
    'advice',
    file !== undefined && access === 'missing',
    `${file} of ${name} is not there`,
    'udev makes it (apt-get install rdma-core); a container needs --device /dev/infiniband',
  );
  found.say(
    'advice',
    access === 'denied',
    `${file} of ${name} may not be opened by this user`,
    `rdma-core's udev rules give it mode 0666; by hand: chmod 666 ${file}`,
  );
  found.say(
    'advice',
    pci !== undefined && pci.now !== pci.most,
    `${name} is connected by PCIe ${pci?.now}, and could be by ${pci?.most}`,
    'another slot, or the slot’s setting in the firmware: lspci -vv shows LnkCap and LnkSta',
  );
  found.say(
    'advice',
    runsFar(facts, device),
    `${name} is on NUMA node ${device.numaNode}, and this process may run far from it (cores ${facts.allowedCores})`,
    `numactl --cpunodebind=${device.numaNode} --membind=${device.numaNode} verbex run, with --cores out of ${device.nearCores}`,
  );
  found.say(
    'option',
    device.software,
    `${name} is RDMA in software: right for tests, its figures say nothing of an adapter`,
    `an adapter: ${manual}`,
  );
}

function portFindings(found: Findings, device: RdmaDevice, port: Port): void {
  const name = `${device.name} port ${port.number}`;
  const ethernet = port.linkLayer === 'Ethernet';
  if (port.state === 'INIT' && !ethernet) {
    found.say(
      'advice',
      true,
      `${name} waits for a subnet manager`,
      'apt-get install opensm on one host of the fabric, or start the switch’s',
    );
  } else if (port.state === 'ARMED') {
    found.say(
      'advice',
      true,
      `${name} is armed, not active: the subnet manager has not finished`,
      'look at its log (/var/log/opensm.log)',
    );
  } else if (port.state !== 'ACTIVE') {
    found.say(
      'advice',
      true,
      `${name} is ${port.state} (${port.physicalState})`,
      ethernet
        ? `ip link set ${port.netdev ?? 'NETDEV'} up, then cable and switch port`
        : 'cable, switch port, and the port type of the adapter (mlxconfig LINK_TYPE)',
    );
  }
  found.say(
    'advice',
    ethernet && port.gidIndex === undefined,
    `${name} has no RoCE v2 GID`,
    `ip address add ADDRESS/LENGTH dev ${port.netdev ?? 'NETDEV'}: each address gets one`,
  );
  const preferred = port.gids.find(({ index }) => index === port.gidIndex);
  found.say(
    'advice',
    preferred?.family === 'link-local',
    `${name} has link-local GIDs only: they do not cross a router`,
    `ip address add ADDRESS/LENGTH dev ${port.netdev ?? 'NETDEV'}`,
  );
  found.say(
    'advice',
    ethernet && !device.software && (port.netdevMtu ?? netdevMtuWanted) < netdevMtuWanted,
    `${name} sends ${port.activeMtu} bytes a packet at most, since ${port.netdev} has MTU ${port.netdevMtu}`,
    `ip link set ${port.netdev} mtu 9000, on both ends and every switch between (4200 is enough)`,
  );
}
