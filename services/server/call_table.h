// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "core/base/mutex.h"
#include "core/metrics/family.h"
#include "core/metrics/histogram.h"

namespace gantry::server {

// What happened on one method.
struct MethodStats {
  static constexpr size_t kCodes = 17;  // gRPC's

  std::string type;  // "unary", "server_stream", "client_stream", "bidi_stream"
  std::atomic<uint64_t> started = 0;
  std::atomic<uint64_t> received = 0;  // messages
  std::atomic<uint64_t> sent = 0;
  std::array<std::atomic<uint64_t>, kCodes> handled{};  // by status code
  metrics::DurationHistogram duration;
};

// A call that has not ended.
struct OpenCall {
  std::string method;  // "/package.Service/Method"
  absl::Time since;
  bool waits = false;  // ends by itself only when something outside happens: streams, Wait
};

// Which gRPC calls are under way and what became of the rest. Sees each call through an
// interceptor.
//
// Ownership: outlives the server. Threads: all methods from any thread.
class CallTable {
 public:
  static constexpr size_t kMaxMethods = 512;

  // `histogram`: whether durations are among the metrics.
  explicit CallTable(bool histogram) : histogram_(histogram) {}
  virtual ~CallTable() = default;

  // For ServerBuilder; the factory refers to this table. A call that ends UNIMPLEMENTED without a
  // text gets one on the way.
  std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeInterceptors();

  std::vector<OpenCall> Open() const;
  // Calls under way that end by themselves.
  size_t Bounded() const { return bounded_; }

  void AddMetrics(std::vector<metrics::Family>& families) const;

 private:
  friend class CallInterceptor;

  MethodStats& StatsOf(std::string_view method, std::string_view type);
  uint64_t Enter(OpenCall call);
  void Leave(uint64_t id, bool waits);

  const bool histogram_;
  std::atomic<size_t> bounded_ = 0;
  mutable base::Mutex mutex_;
  std::map<std::string, std::unique_ptr<MethodStats>, std::less<>> methods_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, OpenCall> open_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace gantry::server
