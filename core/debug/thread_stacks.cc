// SPDX-License-Identifier: Apache-2.0
#include "core/debug/thread_stacks.h"

#include <execinfo.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>
#include <system_error>

#include "absl/debugging/symbolize.h"
#include "absl/time/clock.h"
#include "core/kernel/file.h"

namespace gantry::debug {

constexpr size_t kMaxFrames = 64;

// Where a thread leaves its return addresses. The signal carries the address of the slot, so that
// no state is shared between captures.
struct StackCapture::Slot {
  std::atomic<bool> offered = false;  // orders the making of the slot before its use
  std::array<void*, kMaxFrames> frames{};
  int depth = 0;
  std::atomic<bool> filled = false;
};

namespace {

constexpr size_t kMaxProcBytes = size_t{64} << 10;
constexpr absl::Duration kHandlerPatience = absl::Milliseconds(20);

int CaptureSignal() { return SIGRTMIN + 5; }

template <typename Slot>
void FillSlot(int, siginfo_t* info, void*) {
  const int before = errno;
  auto* slot = static_cast<Slot*>(info->si_value.sival_ptr);
  if (!slot->offered.load(std::memory_order_acquire)) return;
  slot->depth = ::backtrace(slot->frames.data(), kMaxFrames);
  slot->filled.store(true, std::memory_order_release);
  errno = before;
}

bool Interrupt(int tid, void* slot) {
  siginfo_t info{};
  info.si_signo = CaptureSignal();
  info.si_code = SI_QUEUE;
  info.si_pid = ::getpid();
  info.si_uid = ::getuid();
  info.si_value.sival_ptr = slot;
  return ::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), tid, CaptureSignal(), &info) == 0;
}

bool AwaitTrue(const std::atomic<bool>& filled, absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  while (!filled.load(std::memory_order_acquire)) {
    if (absl::Now() >= deadline) return false;
    absl::SleepFor(absl::Microseconds(100));
  }
  return true;
}

std::vector<std::string> Symbolize(std::span<void* const> addresses) {
  std::vector<std::string> frames;
  for (void* address : addresses) {
    char name[512];
    // A return address may lie behind the end of a function whose last act is a call.
    const bool known = absl::Symbolize(static_cast<char*>(address) - 1, name, sizeof(name));
    frames.push_back(fmt::format("{} {}", address, known ? name : "?"));
  }
  return frames;
}

std::string ReadProc(int tid, const char* file) {
  const auto text =
      kernel::ReadFile(fmt::format("/proc/self/task/{}/{}", tid, file), kMaxProcBytes);
  if (!text.ok()) return {};
  std::string line = *text;
  while (!line.empty() && line.back() == '\n') line.pop_back();
  return line;
}

char StateOf(int tid) {
  const std::string stat = ReadProc(tid, "stat");
  const size_t name_end = stat.rfind(')');  // The name may hold anything.
  return name_end == std::string::npos || name_end + 2 >= stat.size() ? '?' : stat[name_end + 2];
}

std::vector<int> Threads() {
  std::vector<int> tids;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", error)) {
    const std::string name = entry.path().filename();
    int tid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), tid).ec == std::errc()) {
      tids.push_back(tid);
    }
  }
  const int own = ::gettid();
  std::ranges::sort(tids, {}, [own](int tid) { return std::pair(tid != own, tid); });
  return tids;
}

}  // namespace

StackCapture::StackCapture() {
  void* frame = nullptr;
  ::backtrace(&frame, 1);  // Loads what it needs now, not inside a handler.
  struct sigaction action {};
  action.sa_sigaction = FillSlot<Slot>;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  ::sigaction(CaptureSignal(), &action, nullptr);
}

StackCapture::~StackCapture() {
  ::signal(CaptureSignal(), SIG_IGN);  // drops what no thread has taken yet
  // A thread that is within the handler leaves it soon; one that never entered it never will.
  for (const auto& slot : late_) AwaitTrue(slot->filled, kHandlerPatience);
}

std::vector<std::string> StackCapture::FramesOf(int tid, absl::Duration patience) {
  auto slot = std::make_unique<Slot>();
  slot->offered.store(true, std::memory_order_release);
  if (!Interrupt(tid, slot.get())) return {};
  if (!AwaitTrue(slot->filled, patience)) {
    late_.push_back(std::move(slot));
    return {};
  }
  return Symbolize(std::span(slot->frames).first(static_cast<size_t>(slot->depth)));
}

std::vector<ThreadStack> StackCapture::Capture(absl::Duration patience) {
  std::erase_if(late_, [](const auto& slot) { return slot->filled.load(); });
  std::vector<ThreadStack> stacks;
  for (const int tid : Threads()) {
    ThreadStack stack{.tid = tid, .name = ReadProc(tid, "comm"), .state = StateOf(tid)};
    stack.kernel_wait = ReadProc(tid, "wchan");
    if (stack.kernel_wait == "0") stack.kernel_wait.clear();
    stack.frames = FramesOf(tid, patience);
    stacks.push_back(std::move(stack));
  }
  return stacks;
}

std::string Render(const std::vector<ThreadStack>& stacks) {
  std::string text;
  for (const ThreadStack& stack : stacks) {
    text += fmt::format("thread {} \"{}\" state {}{}{}\n", stack.tid, stack.name, stack.state,
                        stack.kernel_wait.empty() ? "" : " in ", stack.kernel_wait);
    if (stack.frames.empty()) text += "  no answer\n";
    for (const std::string& frame : stack.frames) text += fmt::format("  {}\n", frame);
    text += '\n';
  }
  return text;
}

}  // namespace gantry::debug
