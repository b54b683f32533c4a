// The control store that a description names.
import type { ControlStore } from './control-store.ts';
import { type ClusterDescription, secretOf } from './description.ts';
import { EtcdControlStore } from './etcd-control-store.ts';
import { FileControlStore } from './file-control-store.ts';

export async function openControlStore({
  name,
  control,
}: Pick<ClusterDescription, 'name' | 'control'>): Promise<ControlStore> {
  if (control.kind === 'file') return await FileControlStore.open(control.path);
  const { endpoints, timeoutMs, user, passwordFile, authorityFile, certificateFile, certificateKeyFile } =
    control;
  return new EtcdControlStore({
    cluster: name,
    endpoints,
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(user !== undefined && { user }),
    ...(passwordFile !== undefined && { password: secretOf(passwordFile) }),
    ...(authorityFile !== undefined && { authority: secretOf(authorityFile) }),
    ...(certificateFile !== undefined && { certificate: secretOf(certificateFile) }),
    ...(certificateKeyFile !== undefined && { certificateKey: secretOf(certificateKeyFile) }),
  });
}
