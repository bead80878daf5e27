/** `memdrift watch --prometheus`. */
import type { MetricsServer } from '../metrics/metrics_server.ts';
import type { Watch } from '../watch/watch.ts';
import type { WatchOptions } from '../watch/watch_model.ts';
import { packageVersion, writeError } from './program.ts';

/** Tells where, on stderr: of `:0` nobody knows it before. @throws MemdriftError */
export async function listen(address: string): Promise<MetricsServer> {
  // Only who asks for them waits for what they need.
  const { metricsAddress, MetricsServer } = await import('../metrics/metrics_server.ts');
  const server = await MetricsServer.listen(metricsAddress(address));
  const whom = server.isPublic ? ', to whoever reaches this host' : '';
  writeError(`metrics at ${server.url}${whom}`);
  return server;
}

export async function serve(
  server: MetricsServer,
  watch: Watch,
  { limitBytes }: Pick<WatchOptions, 'limitBytes'>,
): Promise<void> {
  const { watchRegistry } = await import('../metrics/watch_metrics.ts');
  const now = () => watch.current();
  server.serve(watchRegistry({ now, limitBytes, version: packageVersion() }));
}
