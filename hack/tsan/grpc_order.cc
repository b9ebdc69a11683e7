// SPDX-License-Identifier: Apache-2.0
// These stand before the library's own functions, also for its own calls. What they order the
// library orders by atomics, which ThreadSanitizer does not see, since Debian builds gRPC without
// it. Its own classes are in no header: `asm` names their functions, `self` is their object.
#include <grpc/grpc.h>

#include "hack/tsan/library.h"

using gantry::tsan::Library;
using gantry::tsan::Order;

#define GRPC_CQ_END_OP                                                                     \
  "_Z14grpc_cq_end_opP21grpc_completion_queuePvN4absl7debian36StatusEPFvS1_P18grpc_cq_com" \
  "pletionES1_S6_b"
#define GRPC_QUEUE_PUSH "_ZN9grpc_core32MultiProducerSingleConsumerQueue4PushEPNS0_4NodeE"
#define GRPC_QUEUE_POP "_ZN9grpc_core32MultiProducerSingleConsumerQueue14PopAndCheckEndEPb"
#define GRPC_COMBINER_START \
  "_ZN9grpc_core12CallCombiner5StartEP12grpc_closureN4absl7debian36StatusEPKciS7_"
#define GRPC_COMBINER_STOP "_ZN9grpc_core12CallCombiner4StopEPKciS2_"

extern "C" {

// The thread that ends an operation has happened before the one that is told of it.
void EndOperation(grpc_completion_queue* queue, void* tag, void* error, void* done, void* argument,
                  void* storage, bool internal) asm(GRPC_CQ_END_OP);

void EndOperation(grpc_completion_queue* queue, void* tag, void* error, void* done, void* argument,
                  void* storage, bool internal) {
  static auto* const library = Library<decltype(EndOperation)>(GRPC_CQ_END_OP);
  __tsan_release(queue);
  library(queue, tag, error, done, argument, storage, internal);
}

grpc_event grpc_completion_queue_next(grpc_completion_queue* queue, gpr_timespec deadline,
                                      void* reserved) {
  static auto* const library =
      Library<decltype(grpc_completion_queue_next)>("grpc_completion_queue_next");
  const grpc_event event = library(queue, deadline, reserved);
  __tsan_acquire(queue);
  return event;
}

// gRPC's C++ layer takes a share of a call when it starts an operation, and gives it up when the
// operation has ended, before the "done" callback: what was done before the one has happened before
// what follows the other.
void grpc_call_ref(grpc_call* call) {
  static auto* const library = Library<decltype(grpc_call_ref)>("grpc_call_ref");
  __tsan_release(call);
  library(call);
}

void grpc_call_unref(grpc_call* call) {
  static auto* const library = Library<decltype(grpc_call_unref)>("grpc_call_unref");
  __tsan_acquire(call);
  library(call);
}

// Closures go from thread to thread through this queue.
bool Push(void* self, void* node) asm(GRPC_QUEUE_PUSH);

bool Push(void* self, void* node) {
  static auto* const library = Library<decltype(Push)>(GRPC_QUEUE_PUSH);
  __tsan_release(node);
  return library(self, node);
}

void* PopAndCheckEnd(void* self, bool* empty) asm(GRPC_QUEUE_POP);

void* PopAndCheckEnd(void* self, bool* empty) {
  static auto* const library = Library<decltype(PopAndCheckEnd)>(GRPC_QUEUE_POP);
  void* const node = library(self, empty);
  if (node != nullptr) __tsan_acquire(node);
  return node;
}

// One thread at a time works on a call, between these.
void StartCombined(void* self, void* closure, void* error, const char* file, int line,
                   const char* reason) asm(GRPC_COMBINER_START);

void StartCombined(void* self, void* closure, void* error, const char* file, int line,
                   const char* reason) {
  static auto* const library = Library<decltype(StartCombined)>(GRPC_COMBINER_START);
  Order(self);
  library(self, closure, error, file, line, reason);
}

void StopCombined(void* self, const char* file, int line,
                  const char* reason) asm(GRPC_COMBINER_STOP);

void StopCombined(void* self, const char* file, int line, const char* reason) {
  static auto* const library = Library<decltype(StopCombined)>(GRPC_COMBINER_STOP);
  Order(self);
  library(self, file, line, reason);
}

}  // extern "C"
