// SPDX-License-Identifier: Apache-2.0
// These stand before the library's own functions, also for its own calls. What they order the
// library orders by atomics, which ThreadSanitizer does not see, since Debian builds gRPC without
// it. The classes are in no public header: here they have the functions alone that are replaced.
#include <grpc/grpc.h>

#include <utility>

#include "absl/status/status.h"
#include "hack/tsan/library.h"

using gantry::tsan::Library;
using gantry::tsan::Order;
using gantry::tsan::Require;

struct grpc_closure;
struct grpc_cq_completion;

namespace grpc_core {

class MultiProducerSingleConsumerQueue {
 public:
  struct Node;
  bool Push(Node* node);
  Node* PopAndCheckEnd(bool* empty);
};

class CallCombiner {
 public:
  void Start(grpc_closure* closure, absl::Status error, const char* file, int line,
             const char* reason);
  void Stop(const char* file, int line, const char* reason);
};

}  // namespace grpc_core

void grpc_cq_end_op(grpc_completion_queue* queue, void* tag, absl::Status error,
                    void (*done)(void*, grpc_cq_completion*), void* argument,
                    grpc_cq_completion* storage, bool internal);

namespace {

constexpr char kEndOperation[] =
    "_Z14grpc_cq_end_opP21grpc_completion_queuePvN4absl7debian36StatusEPFvS1_P18grpc_cq_completionE"
    "S1_S6_b";
constexpr char kPush[] = "_ZN9grpc_core32MultiProducerSingleConsumerQueue4PushEPNS0_4NodeE";
constexpr char kPop[] = "_ZN9grpc_core32MultiProducerSingleConsumerQueue14PopAndCheckEndEPb";
constexpr char kStart[] =
    "_ZN9grpc_core12CallCombiner5StartEP12grpc_closureN4absl7debian36StatusEPKciS7_";
constexpr char kStop[] = "_ZN9grpc_core12CallCombiner4StopEPKciS2_";

[[maybe_unused]] const bool all_there = Require("grpc_init", kEndOperation) &&
                                        Require("grpc_init", kPush) && Require("grpc_init", kPop) &&
                                        Require("grpc_init", kStart) && Require("grpc_init", kStop);

}  // namespace

// What a thread did before it ended an operation happens before what the thread does that is told.
void grpc_cq_end_op(grpc_completion_queue* queue, void* tag, absl::Status error,
                    void (*done)(void*, grpc_cq_completion*), void* argument,
                    grpc_cq_completion* storage, bool internal) {
  static auto* const library = Library<decltype(grpc_cq_end_op)>(kEndOperation);
  __tsan_release(queue);
  library(queue, tag, std::move(error), done, argument, storage, internal);
}

extern "C" grpc_event grpc_completion_queue_next(grpc_completion_queue* queue,
                                                 gpr_timespec deadline, void* reserved) {
  static auto* const library =
      Library<decltype(grpc_completion_queue_next)>("grpc_completion_queue_next");
  const grpc_event event = library(queue, deadline, reserved);
  __tsan_acquire(queue);
  return event;
}

// gRPC's C++ layer takes a share of a call when it starts an operation, and gives it up when the
// operation has ended, before the "done" callback: what was done before the one happens before what
// follows the other.
extern "C" void grpc_call_ref(grpc_call* call) {
  static auto* const library = Library<decltype(grpc_call_ref)>("grpc_call_ref");
  __tsan_release(call);
  library(call);
}

extern "C" void grpc_call_unref(grpc_call* call) {
  static auto* const library = Library<decltype(grpc_call_unref)>("grpc_call_unref");
  __tsan_acquire(call);
  library(call);
}

namespace grpc_core {

// Closures go from thread to thread through this queue.
bool MultiProducerSingleConsumerQueue::Push(Node* node) {
  static auto* const library = Library<bool(MultiProducerSingleConsumerQueue*, Node*)>(kPush);
  __tsan_release(node);
  return library(this, node);
}

MultiProducerSingleConsumerQueue::Node* MultiProducerSingleConsumerQueue::PopAndCheckEnd(
    bool* empty) {
  static auto* const library = Library<Node*(MultiProducerSingleConsumerQueue*, bool*)>(kPop);
  Node* const node = library(this, empty);
  if (node != nullptr) __tsan_acquire(node);
  return node;
}

// One thread at a time works on a call, between these.
void CallCombiner::Start(grpc_closure* closure, absl::Status error, const char* file, int line,
                         const char* reason) {
  static auto* const library =
      Library<void(CallCombiner*, grpc_closure*, absl::Status, const char*, int, const char*)>(
          kStart);
  Order(this);
  library(this, closure, std::move(error), file, line, reason);
}

void CallCombiner::Stop(const char* file, int line, const char* reason) {
  static auto* const library = Library<void(CallCombiner*, const char*, int, const char*)>(kStop);
  Order(this);
  library(this, file, line, reason);
}

}  // namespace grpc_core
