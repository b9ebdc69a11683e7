// SPDX-License-Identifier: Apache-2.0
// io.containerd.cgroups.v1.Metrics, what Stats answers on cgroup v1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gantry::shim::messages::cgroup_v1 {

// Huge pages of one size.
struct HugetlbStat {
  uint64_t usage = 0;
  uint64_t max = 0;
  uint64_t failcnt = 0;
  std::string pagesize;

  static void Fields(auto& m, auto& field) {
    field(1, m.usage);
    field(2, m.max);
    field(3, m.failcnt);
    field(4, m.pagesize);
  }
};

// Number of tasks.
struct PidsStat {
  uint64_t current = 0;
  uint64_t limit = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.current);
    field(2, m.limit);
  }
};

// CPU time used, in nanoseconds.
struct CPUUsage {
  uint64_t total = 0;
  uint64_t kernel = 0;
  uint64_t user = 0;
  std::vector<uint64_t> per_cpu;

  static void Fields(auto& m, auto& field) {
    field(1, m.total);
    field(2, m.kernel);
    field(3, m.user);
    field(4, m.per_cpu);
  }
};

// How often and how long the CFS quota held the cgroup back.
struct Throttle {
  uint64_t periods = 0;
  uint64_t throttled_periods = 0;
  uint64_t throttled_time = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.periods);
    field(2, m.throttled_periods);
    field(3, m.throttled_time);
  }
};

// CPU time and throttling.
struct CPUStat {
  std::optional<CPUUsage> usage;
  std::optional<Throttle> throttling;

  static void Fields(auto& m, auto& field) {
    field(1, m.usage);
    field(2, m.throttling);
  }
};

// Use of one kind of memory against its limit.
struct MemoryEntry {
  uint64_t limit = 0;
  uint64_t usage = 0;
  uint64_t max = 0;
  uint64_t failcnt = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.limit);
    field(2, m.usage);
    field(3, m.max);
    field(4, m.failcnt);
  }
};

// The fields of memory.stat, and usage by kind of memory.
struct MemoryStat {
  uint64_t cache = 0;
  uint64_t rss = 0;
  uint64_t rss_huge = 0;
  uint64_t mapped_file = 0;
  uint64_t dirty = 0;
  uint64_t writeback = 0;
  uint64_t pg_pg_in = 0;
  uint64_t pg_pg_out = 0;
  uint64_t pg_fault = 0;
  uint64_t pg_maj_fault = 0;
  uint64_t inactive_anon = 0;
  uint64_t active_anon = 0;
  uint64_t inactive_file = 0;
  uint64_t active_file = 0;
  uint64_t unevictable = 0;
  uint64_t hierarchical_memory_limit = 0;
  uint64_t hierarchical_swap_limit = 0;
  uint64_t total_cache = 0;
  uint64_t total_rss = 0;
  uint64_t total_rss_huge = 0;
  uint64_t total_mapped_file = 0;
  uint64_t total_dirty = 0;
  uint64_t total_writeback = 0;
  uint64_t total_pg_pg_in = 0;
  uint64_t total_pg_pg_out = 0;
  uint64_t total_pg_fault = 0;
  uint64_t total_pg_maj_fault = 0;
  uint64_t total_inactive_anon = 0;
  uint64_t total_active_anon = 0;
  uint64_t total_inactive_file = 0;
  uint64_t total_active_file = 0;
  uint64_t total_unevictable = 0;
  std::optional<MemoryEntry> usage;
  std::optional<MemoryEntry> swap;
  std::optional<MemoryEntry> kernel;
  std::optional<MemoryEntry> kernel_tcp;

  static void Fields(auto& m, auto& field) {
    field(1, m.cache);
    field(2, m.rss);
    field(3, m.rss_huge);
    field(4, m.mapped_file);
    field(5, m.dirty);
    field(6, m.writeback);
    field(7, m.pg_pg_in);
    field(8, m.pg_pg_out);
    field(9, m.pg_fault);
    field(10, m.pg_maj_fault);
    field(11, m.inactive_anon);
    field(12, m.active_anon);
    field(13, m.inactive_file);
    field(14, m.active_file);
    field(15, m.unevictable);
    field(16, m.hierarchical_memory_limit);
    field(17, m.hierarchical_swap_limit);
    field(18, m.total_cache);
    field(19, m.total_rss);
    field(20, m.total_rss_huge);
    field(21, m.total_mapped_file);
    field(22, m.total_dirty);
    field(23, m.total_writeback);
    field(24, m.total_pg_pg_in);
    field(25, m.total_pg_pg_out);
    field(26, m.total_pg_fault);
    field(27, m.total_pg_maj_fault);
    field(28, m.total_inactive_anon);
    field(29, m.total_active_anon);
    field(30, m.total_inactive_file);
    field(31, m.total_active_file);
    field(32, m.total_unevictable);
    field(33, m.usage);
    field(34, m.swap);
    field(35, m.kernel);
    field(36, m.kernel_tcp);
  }
};

// One figure of one operation on one device.
struct BlkIOEntry {
  std::string op;
  std::string device;
  uint64_t major = 0;
  uint64_t minor = 0;
  uint64_t value = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.op);
    field(2, m.device);
    field(3, m.major);
    field(4, m.minor);
    field(5, m.value);
  }
};

// Block I/O by device, with the figures of child cgroups.
struct BlkIOStat {
  std::vector<BlkIOEntry> io_service_bytes_recursive;
  std::vector<BlkIOEntry> io_serviced_recursive;
  std::vector<BlkIOEntry> io_queued_recursive;
  std::vector<BlkIOEntry> io_service_time_recursive;
  std::vector<BlkIOEntry> io_wait_time_recursive;
  std::vector<BlkIOEntry> io_merged_recursive;
  std::vector<BlkIOEntry> io_time_recursive;
  std::vector<BlkIOEntry> sectors_recursive;

  static void Fields(auto& m, auto& field) {
    field(1, m.io_service_bytes_recursive);
    field(2, m.io_serviced_recursive);
    field(3, m.io_queued_recursive);
    field(4, m.io_service_time_recursive);
    field(5, m.io_wait_time_recursive);
    field(6, m.io_merged_recursive);
    field(7, m.io_time_recursive);
    field(8, m.sectors_recursive);
  }
};

// RDMA resources of one device.
struct RdmaEntry {
  std::string device;
  uint32_t hca_handles = 0;
  uint32_t hca_objects = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.device);
    field(2, m.hca_handles);
    field(3, m.hca_objects);
  }
};

// RDMA resources by device.
struct RdmaStat {
  std::vector<RdmaEntry> current;
  std::vector<RdmaEntry> limit;

  static void Fields(auto& m, auto& field) {
    field(1, m.current);
    field(2, m.limit);
  }
};

// Traffic of one network interface.
struct NetworkStat {
  std::string name;
  uint64_t rx_bytes = 0;
  uint64_t rx_packets = 0;
  uint64_t rx_errors = 0;
  uint64_t rx_dropped = 0;
  uint64_t tx_bytes = 0;
  uint64_t tx_packets = 0;
  uint64_t tx_errors = 0;
  uint64_t tx_dropped = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.name);
    field(2, m.rx_bytes);
    field(3, m.rx_packets);
    field(4, m.rx_errors);
    field(5, m.rx_dropped);
    field(6, m.tx_bytes);
    field(7, m.tx_packets);
    field(8, m.tx_errors);
    field(9, m.tx_dropped);
  }
};

// Number of tasks by state, from taskstats.
struct CgroupStats {
  uint64_t nr_sleeping = 0;
  uint64_t nr_running = 0;
  uint64_t nr_stopped = 0;
  uint64_t nr_uninterruptible = 0;
  uint64_t nr_io_wait = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.nr_sleeping);
    field(2, m.nr_running);
    field(3, m.nr_stopped);
    field(4, m.nr_uninterruptible);
    field(5, m.nr_io_wait);
  }
};

// The fields of memory.oom_control.
struct MemoryOomControl {
  uint64_t oom_kill_disable = 0;
  uint64_t under_oom = 0;
  uint64_t oom_kill = 0;

  static void Fields(auto& m, auto& field) {
    field(1, m.oom_kill_disable);
    field(2, m.under_oom);
    field(3, m.oom_kill);
  }
};

// All controllers of one cgroup. Sizes are bytes, CPU times nanoseconds.
struct Metrics {
  static constexpr std::string_view kTypeName = "io.containerd.cgroups.v1.Metrics";

  std::vector<HugetlbStat> hugetlb;
  std::optional<PidsStat> pids;
  std::optional<CPUStat> cpu;
  std::optional<MemoryStat> memory;
  std::optional<BlkIOStat> blkio;
  std::optional<RdmaStat> rdma;
  std::vector<NetworkStat> network;
  std::optional<CgroupStats> cgroup_stats;
  std::optional<MemoryOomControl> memory_oom_control;

  static void Fields(auto& m, auto& field) {
    field(1, m.hugetlb);
    field(2, m.pids);
    field(3, m.cpu);
    field(4, m.memory);
    field(5, m.blkio);
    field(6, m.rdma);
    field(7, m.network);
    field(8, m.cgroup_stats);
    field(9, m.memory_oom_control);
  }
};

}  // namespace gantry::shim::messages::cgroup_v1
