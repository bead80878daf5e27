/** The public API of memdrift. Named exports only; everything else is internal. */

export { type Difference, type DifferenceRow, diff } from './analysis/difference.ts';
export { type FunctionTotal, functionTotals } from './analysis/functions.ts';
export { withoutInternals } from './analysis/internals.ts';
export { momentNumber, reportAt } from './analysis/moments.ts';
export { onlyKinds, stackAt, tableRows } from './analysis/report_rows.ts';
export {
  captureText,
  readCaptureReport,
  readCaptureStats,
  readCaptureTable,
} from './capture/capture.ts';
export {
  type AllocationKind,
  allocationKinds,
  type CaptureReport,
  type CaptureStats,
  type CaptureTable,
  type Frame,
  type MemorySeries,
  type Moment,
  type ReportOptions,
  type RowColumns,
  type SizeBin,
  type StackTree,
  type TableRow,
} from './capture/capture_model.ts';
export { Capture, openCapture } from './capture/open_capture.ts';
export { type Cause, type CauseRow, causes } from './drift/causes.ts';
export { type ExplainOptions, explain } from './drift/explain.ts';
export type {
  ByThread,
  ExplainedArena,
  ExplainedMalloc,
  ExplainedMapping,
  ExplainedThread,
  ExplainedV8,
  Explanation,
  ThreadBytes,
} from './drift/explain_model.ts';
export {
  type CauseGrowth,
  type Growth,
  growthBetween,
  type MappingGrowth,
} from './drift/growth.ts';
export {
  type AddressRange,
  type MallocArena,
  type MallocFigures,
  type MallocPart,
  type MallocReport,
  type MappedBlocks,
  readOwnMalloc,
} from './drift/malloc_report.ts';
export {
  type ErrorCode,
  type ErrorDetails,
  errorCodes,
  isMemdriftError,
  MemdriftError,
} from './errors.ts';
export {
  type ExperimentFlags,
  type ExperimentOptions,
  experimentOptionsFrom,
} from './experiment/options.ts';
export type {
  ExperimentProgress,
  ExperimentReport,
  HeapSeries,
  Look,
  Peak,
  ProcessReport,
  Role,
} from './experiment/report_model.ts';
export { type RunHooks, runExperiment } from './experiment/run.ts';
export type {
  GroupOptions,
  GroupProcess,
  GroupSegment,
  GroupSnapshot,
  GroupTotals,
  SegmentHolder,
} from './group/group_model.ts';
export { measureGroup } from './group/measure_group.ts';
export type { Pid } from './proc/arguments.ts';
export {
  type Cgroup,
  type CgroupLimit,
  type CgroupMemory,
  type CgroupProcesses,
  findCgroup,
  readCgroup,
  readCgroupProcesses,
} from './proc/cgroup.ts';
export type { CgroupFigures } from './proc/cgroup_figures.ts';
export {
  type CounterField,
  type Counters,
  counterFields,
  parseStat,
  parseStatm,
  parseStatus,
  readCounters,
  readCountersAsync,
  type Statm,
} from './proc/counters.ts';
export type { Exactness } from './proc/exactness.ts';
export { type HeapLimit, readHeapLimit } from './proc/heap_limit.ts';
export type { HeapLimitSource } from './proc/heap_limit_rules.ts';
export {
  type Mapping,
  type MappingField,
  type MappingPlace,
  Mappings,
  mappingFields,
  parseMaps,
  parseSmaps,
  readMappings,
  readMappingsAsync,
  readMaps,
  readMapsAsync,
} from './proc/mappings.ts';
export {
  Residency,
  type ResidentMapping,
  readResidency,
  readResidencyAsync,
} from './proc/residency.ts';
export { parseRollup, type Rollup, readRollup, readRollupAsync } from './proc/rollup.ts';
export {
  type PassResult,
  type PeakValue,
  type Sample,
  Sampler,
  type SamplerOptions,
  type SamplerReport,
} from './proc/sampler.ts';
export type { Channel, ChannelOptions } from './shm/channel.ts';
export type { SendOptions } from './shm/channel_sender.ts';
export type { ChannelData } from './shm/channel_store.ts';
export type { ChannelWaitOptions } from './shm/channel_waiter.ts';
export type { ArraySpec, ElementArrays, ElementType } from './shm/elements.ts';
export { Flag } from './shm/flag.ts';
export type { RoomOptions } from './shm/room_wait.ts';
export { Segment, type SegmentInfo } from './shm/segment.ts';
export {
  type AttachOptions,
  type GetOptions,
  type PutOptions,
  Store,
  type StoreHolder,
  type StoreObjectInfo,
  type StoreOptions,
  type StoreStats,
} from './shm/store.ts';
export { StoreObject, StoreProducer } from './shm/store_object.ts';
export {
  type AttachOptions as TrackerAttachOptions,
  attach as attachTracker,
  detach as detachTracker,
} from './tracker/attach.ts';
export { mark } from './tracker/mark.ts';
export type { TrackerOptions } from './tracker/options.ts';
export { Tracker } from './tracker/tracker.ts';
