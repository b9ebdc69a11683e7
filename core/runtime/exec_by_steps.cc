// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/exec_by_steps.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "core/kernel/file.h"
#include "core/kernel/unique_fd.h"
#include "core/log/log.h"
#include "core/runtime/exit_watch.h"

namespace gantry::runtime {
namespace {

constexpr size_t kReadBytes = 64UL << 10;
// What a killed process leaves in its fifos.
constexpr absl::Duration kKilledDrain = absl::Milliseconds(500);

// The reading end of a fifo of ours.
class Output {
 public:
  Output(Loop& loop, std::filesystem::path path, size_t max_bytes)
      : loop_(loop), path_(std::move(path)), max_bytes_(max_bytes) {}

  Output(const Output&) = delete;
  ~Output() { Close(); }

  // Blocks briefly.
  absl::Status Make() {
    if (::mkfifo(path_.c_str(), 0600) != 0) return FromErrno(errno, "make fifo " + path_.string());
    fd_ = kernel::UniqueFd(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (!fd_) return FromErrno(errno, "open " + path_.string());
    return absl::OkStatus();
  }
  void Remove() const { ::unlink(path_.c_str()); }

  // The rest on the loop's thread.
  absl::Status Watch(std::function<void()> ended) {
    ended_ = std::move(ended);
    ASSIGN_OR_RETURN(watch_, loop_.Watch(fd_.get(), EPOLLIN, [this](uint32_t) {
      if (!fd_ || ReadOnce() || fd_) return;
      std::exchange(ended_, nullptr)();
    }));
    return absl::OkStatus();
  }

  void Cut() {
    for (size_t left = 32; fd_ && left > 0; --left) {
      if (!ReadOnce()) break;
    }
    Close();
    ended_ = nullptr;
  }

  bool open() const { return static_cast<bool>(fd_); }
  bool truncated() const { return truncated_; }
  std::string Take() { return std::move(text_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  // False when nothing was there.
  bool ReadOnce() {
    std::array<char, kReadBytes> data;
    const ssize_t count = ::read(fd_.get(), data.data(), data.size());
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (count <= 0) {
      Close();
      return false;
    }
    const size_t kept = std::min(static_cast<size_t>(count), max_bytes_ - text_.size());
    text_.append(data.data(), kept);
    truncated_ = truncated_ || kept < static_cast<size_t>(count);
    return true;
  }

  void Close() {
    if (watch_) loop_.Unwatch(*std::exchange(watch_, std::nullopt));
    fd_.Reset();
  }

  Loop& loop_;
  const std::filesystem::path path_;
  const size_t max_bytes_;
  kernel::UniqueFd fd_;
  std::optional<Loop::WatchId> watch_;
  std::function<void()> ended_;
  std::string text_;
  bool truncated_ = false;
};

// Everything but the making of the fifos happens on the loop's thread.
class SteppedExec : public std::enable_shared_from_this<SteppedExec> {
 public:
  SteppedExec(TaskEnv& env, TaskManager& tasks, std::shared_ptr<Task> task, ExecSyncOptions options,
              Done<ExecSyncResult> done)
      : env_(env),
        tasks_(tasks),
        task_(std::move(task)),
        options_(std::move(options)),
        out_(loop(), Fifo("stdout"), std::min(options_.max_out_bytes, options_.kMaxOutputBytes)),
        err_(loop(), Fifo("stderr"), std::min(options_.max_err_bytes, options_.kMaxOutputBytes)),
        done_(std::move(done)) {}

  void Begin() {
    if (options_.timeout != absl::InfiniteDuration()) {
      loop().After(options_.timeout, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->Stop();
      });
    }
    env_.shims.steps().Run([self = shared_from_this()] {
      absl::Status made = self->out_.Make();
      if (made.ok()) made = self->err_.Make();
      self->Post([made](SteppedExec& exec) { exec.OnMade(made); });
    });
  }

  void PostStop() {
    Post([](SteppedExec& exec) { exec.Stop(); });
  }

 private:
  Loop& loop() { return env_.shims.loop(); }
  std::filesystem::path Fifo(const char* stream) const {
    return task_->shim()->bundle().path() / ("." + exec_id_ + "-" + stream);
  }
  Context Detached() const { return {.ns = task_->ns(), .lease = {}}; }

  void Post(std::function<void(SteppedExec&)> step) {
    loop().Post([self = shared_from_this(), step = std::move(step)] { step(*self); });
  }

  void OnMade(absl::Status made) {
    const auto ended = [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->OnOutputEnded();
    };
    if (made.ok()) made = out_.Watch(ended);
    if (made.ok()) made = err_.Watch(ended);
    if (!made.ok()) return Finish(made);
    ExecOptions exec{.exec_id = exec_id_,
                     .stdio = {.in = {}, .out = out_.path(), .err = err_.path()},
                     .spec = std::move(options_.spec)};
    tasks_.Exec(
        Detached(), task_->id(), std::move(exec),
        [self = shared_from_this()](const absl::StatusOr<Nothing>& added) {
          self->Post([status = added.status()](SteppedExec& exec) { exec.OnAdded(status); });
        });
  }

  void OnAdded(const absl::Status& status) {
    if (!status.ok()) return Finish(status);
    added_ = true;
    if (stopped_) return Finish(Cancelled("exec in container {}: it was given up", task_->id()));
    // Before the start, or its end could be missed.
    auto waiter = Caller<Exit>::Make(
        loop(), Detached(), [self = shared_from_this()](absl::StatusOr<Exit> exit) {
          self->Post([exit = std::move(exit)](SteppedExec& exec) { exec.OnExit(exit); });
        });
    if (task_->AddWaiter(exec_id_, std::move(waiter))) WatchExit(env_, task_, exec_id_);
    tasks_.Start(
        Detached(), task_->id(), exec_id_,
        [self = shared_from_this()](const absl::StatusOr<uint32_t>& pid) {
          self->Post([status = pid.status()](SteppedExec& exec) { exec.OnStarted(status); });
        });
  }

  void OnStarted(const absl::Status& status) {
    if (!status.ok()) return Finish(status);
    started_ = true;
    if (stopped_) Kill();
    Look();
  }

  // Also told of one that could not be started.
  void OnExit(absl::StatusOr<Exit> exit) {
    exit_ = std::move(exit);
    Look();
  }

  void Look() {
    if (!started_ || !exit_ || done_ == nullptr) return;
    if (!exit_->ok()) return Finish(exit_->status());
    if (!out_.open() && !err_.open()) return Finish(absl::OkStatus());
    if (drain_ != 0) return;
    drain_ = loop().After(stopped_ ? kKilledDrain : options_.drain_timeout,
                          [self = shared_from_this()] { self->Finish(absl::OkStatus()); });
  }

  void OnOutputEnded() { Look(); }

  void Stop() {
    if (stopped_ || done_ == nullptr) return;
    if (started_ && exit_) return Finish(absl::OkStatus());  // only its output is waited for
    stopped_ = true;
    if (started_) Kill();
  }

  void Kill() {
    tasks_.Kill(Detached(), task_->id(), {.exec_id = exec_id_, .signal = SIGKILL},
                [](const absl::StatusOr<Nothing>&) {});  // it may have ended by itself
  }

  void Finish(const absl::Status& status) {
    if (done_ == nullptr) return;
    ExecSyncResult result{.timed_out = stopped_, .output_open = out_.open() || err_.open()};
    out_.Cut();
    err_.Cut();
    result.out_truncated = out_.truncated();
    result.err_truncated = err_.truncated();
    result.out = out_.Take();
    result.err = err_.Take();
    if (status.ok()) result.exit = **exit_;
    result.exit.pid = 0;
    CleanUp();
    if (drain_ != 0) loop().Cancel(drain_);
    Done<ExecSyncResult> done = std::exchange(done_, nullptr);
    if (!status.ok()) return done(status);
    done(std::move(result));
  }

  // Nobody waits for that: it takes long where a descendant keeps the output.
  void CleanUp() {
    env_.shims.steps().Run([self = shared_from_this()] {
      self->out_.Remove();
      self->err_.Remove();
    });
    if (!added_) return;
    tasks_.DeleteExec(Detached(), task_->id(), exec_id_,
                      [self = shared_from_this()](absl::StatusOr<Exit> exit) {
                        if (exit.ok() || absl::IsNotFound(exit.status()) || IsClosed(exit.status()))
                          return;
                        log::Warn("cannot delete an exec", {{"ns", self->task_->ns()},
                                                            {"container", self->task_->id()},
                                                            {"exec", self->exec_id_},
                                                            {"error", exit.status()}});
                      });
  }

  TaskEnv& env_;
  TaskManager& tasks_;
  const std::shared_ptr<Task> task_;
  ExecSyncOptions options_;
  const std::string exec_id_ = "sync-" + kernel::RandomHex(16);
  Output out_;
  Output err_;
  Done<ExecSyncResult> done_;  // null once answered
  bool added_ = false;
  bool started_ = false;
  bool stopped_ = false;
  Loop::TimerId drain_ = 0;  // holds this until the outputs have ended
  std::optional<absl::StatusOr<Exit>> exit_;
};

}  // namespace

std::function<void()> ExecBySteps(TaskEnv& env, TaskManager& tasks,
                                  const std::shared_ptr<Task>& task, ExecSyncOptions options,
                                  Done<ExecSyncResult> done) {
  const auto steps =
      std::make_shared<SteppedExec>(env, tasks, task, std::move(options), std::move(done));
  steps->Begin();
  return [weak = std::weak_ptr(steps)] {
    if (const auto running = weak.lock()) running->PostStop();
  };
}

}  // namespace gantry::runtime
