// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <grpc/grpc.h>
#include <sanitizer/tsan_interface.h>

// These stand before the library's own functions, also for its own calls. What they order the
// library orders by atomics and locks, which ThreadSanitizer does not see, since Debian builds gRPC
// without it.

#define GRPC_CQ_END_OP                                                                  \
  "_Z14grpc_cq_end_opP21grpc_completion_queuePvN4absl7debian36StatusEPFvS1_P18grpc_cq_" \
  "completionES1_S6_b"

extern "C" {

// The thread that ends an operation has happened before the one that is told of it.
void EndOperation(grpc_completion_queue* queue, void* tag, void* error, void* done, void* argument,
                  void* storage, bool internal) asm(GRPC_CQ_END_OP);

void EndOperation(grpc_completion_queue* queue, void* tag, void* error, void* done, void* argument,
                  void* storage, bool internal) {
  static const auto library =
      reinterpret_cast<decltype(&EndOperation)>(dlsym(RTLD_NEXT, GRPC_CQ_END_OP));
  __tsan_release(queue);
  library(queue, tag, error, done, argument, storage, internal);
}

grpc_event grpc_completion_queue_next(grpc_completion_queue* queue, gpr_timespec deadline,
                                      void* reserved) {
  static const auto library = reinterpret_cast<decltype(&grpc_completion_queue_next)>(
      dlsym(RTLD_NEXT, "grpc_completion_queue_next"));
  const grpc_event event = library(queue, deadline, reserved);
  __tsan_acquire(queue);
  return event;
}

// gRPC's C++ layer takes a share of a call when it starts an operation, and gives it up when the
// operation has ended, before the "done" callback: what was done before the one has happened before
// what follows the other.

void grpc_call_ref(grpc_call* call) {
  static const auto library =
      reinterpret_cast<decltype(&grpc_call_ref)>(dlsym(RTLD_NEXT, "grpc_call_ref"));
  __tsan_release(call);
  library(call);
}

void grpc_call_unref(grpc_call* call) {
  static const auto library =
      reinterpret_cast<decltype(&grpc_call_unref)>(dlsym(RTLD_NEXT, "grpc_call_unref"));
  __tsan_acquire(call);
  library(call);
}

}  // extern "C"
