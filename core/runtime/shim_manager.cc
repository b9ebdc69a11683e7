// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/shim_manager.h"

#include <algorithm>
#include <utility>

#include "core/log/log.h"
#include "core/runtime/server_launch.h"
#include "core/ttrpc/rpc_status.h"
#include "proto/runtime/task/v3/shim.pb.h"

namespace gantry::runtime {
namespace {

constexpr size_t kStepThreads = 4;
constexpr size_t kSlowThreads = 8;
constexpr size_t kQueuedSteps = 4096;

}  // namespace

// A shim that is being started.
struct ShimManager::Starting {
  Shim::Parts parts;
  std::optional<google::protobuf::Any> options;
  OnLost on_lost;
  Done<std::shared_ptr<Shim>> done;
};

absl::StatusOr<std::unique_ptr<ShimManager>> ShimManager::Create(Options options) {
  ASSIGN_OR_RETURN(std::unique_ptr<Loop> loop, Loop::Start("shims"));
  ASSIGN_OR_RETURN(std::unique_ptr<ttrpc::Loop> ttrpc_loop, ttrpc::Loop::Start("shim-ttrpc"));
  return std::unique_ptr<ShimManager>(
      new ShimManager(std::move(options), std::move(loop), std::move(ttrpc_loop)));
}

ShimManager::ShimManager(Options options, std::unique_ptr<Loop> loop,
                         std::unique_ptr<ttrpc::Loop> ttrpc_loop)
    : options_(std::move(options)),
      binaries_(options_.renames),
      ttrpc_loop_(std::move(ttrpc_loop)),
      loop_(std::move(loop)),
      pool_("shim-steps", kStepThreads, kQueuedSteps),
      slow_pool_("shim-unmount", kSlowThreads, kQueuedSteps),
      steps_(pool_, *loop_),
      slow_steps_(slow_pool_, *loop_),
      launcher_(*loop_, steps_, options_.launcher),
      own_shims_(*loop_) {}

void ShimManager::Stop() {
  // First what acts on the outcome of calls: closing the connections ends those under way, and
  // nobody must take that for the death of a shim.
  pool_.Stop();
  slow_pool_.Stop();
  loop_->Stop();
  std::vector<Line> lines;
  {
    base::MutexLock lock(mutex_);
    lines.swap(lines_);
  }
  for (const Line& line : lines) line.connection->Close();
  // A shim that was lost just now may still be being told about.
  ttrpc_loop_->RunAndWait([] {});
}

void ShimManager::Start(Bundle bundle, std::filesystem::path program,
                        std::optional<google::protobuf::Any> options, OnLost on_lost,
                        Done<std::shared_ptr<Shim>> done) {
  // Noted before the shim runs: whoever finds the bundle after a crash knows what to clean up with.
  if (const absl::Status noted = bundle.WriteShimBinary(program); !noted.ok()) return done(noted);
  // Read from before the shim runs, so that it cannot hang on opening its log, and so that nothing
  // is left to fail afterwards that need not.
  absl::StatusOr<std::unique_ptr<ShimLog>> log =
      ShimLog::Open(*loop_, bundle.log(), bundle.ns(), bundle.id());
  if (!log.ok()) return done(log.status());
  Starting starting{.parts = {.bundle = std::move(bundle),
                              .program = program,
                              .mounts = std::nullopt,
                              .log = *std::move(log),
                              .process = nullptr},
                    .options = std::move(options),
                    .on_lost = std::move(on_lost),
                    .done = std::move(done)};
  if (const std::optional<bool> connectable = own_shims_.Known(program)) {
    return *connectable ? StartServer(std::move(starting)) : RunStart(std::move(starting));
  }
  own_shims_.Ask(program, [this, starting = std::move(starting)](bool connectable) mutable {
    steps_.Run([this, connectable, starting = std::move(starting)]() mutable {
      connectable ? StartServer(std::move(starting)) : RunStart(std::move(starting));
    });
  });
}

void ShimManager::StartServer(Starting starting) {
  // Who connects once the server has its socket, and before this has, is connected to the same.
  uint64_t older = 0;
  {
    base::MutexLock lock(mutex_);
    older = last_line_;
  }
  auto server = LaunchServer(*loop_, options_.launcher, starting.parts.bundle,
                             starting.parts.program, starting.options);
  if (!server.ok()) return starting.done(Annotate(server.status(), "start failed"));
  starting.parts.process = std::move(server->process);
  starting.done(
      server->connection
          ? JoinNew(std::move(starting.parts), server->endpoint, std::move(server->connection),
                    older, std::move(starting.on_lost))
          : Join(std::move(starting.parts), server->endpoint, std::move(starting.on_lost)));
}

void ShimManager::RunStart(Starting starting) {
  const Bundle bundle = starting.parts.bundle;
  const std::filesystem::path program = starting.parts.program;
  std::optional<google::protobuf::Any> options = std::move(starting.options);
  auto started = [this,
                  starting = std::move(starting)](absl::StatusOr<StartAnswer> answer) mutable {
    steps_.Run([this, starting = std::move(starting), answer = std::move(answer)]() mutable {
      if (!answer.ok()) return starting.done(Annotate(answer.status(), "start failed"));
      OnStarted(std::move(starting.parts), *answer, std::move(starting.on_lost),
                std::move(starting.done));
    });
  };
  launcher_.Start(bundle, program, std::move(options), options_.timeouts.start_shim,
                  std::move(started));
}

void ShimManager::OnStarted(Shim::Parts parts, const StartAnswer& answer, OnLost on_lost,
                            Done<std::shared_ptr<Shim>> done) {
  parts.mounts = answer.mounts;
  const absl::Status noted = parts.bundle.WriteEndpoint(answer.endpoint);
  if (noted.ok()) return done(Join(std::move(parts), answer.endpoint, std::move(on_lost)));
  // What no later daemon would find must not stay.
  const Bundle bundle = parts.bundle;
  const std::filesystem::path program = parts.program;
  auto ended = [this, bundle, program, address = answer.endpoint.address, noted,
                done = std::move(done)](const absl::Status& end) mutable {
    if (end.ok()) return done(noted);
    log::Warn(
        "a shim whose address cannot be noted does not end",
        {{"ns", bundle.ns()}, {"container", bundle.id()}, {"address", address}, {"error", end}});
    launcher_.Delete(bundle, program, options_.timeouts.cleanup,
                     [noted, done = std::move(done)](const auto&) mutable { done(noted); });
  };
  const auto shim = Join(std::move(parts), answer.endpoint, nullptr);
  if (!shim.ok()) return ended(shim.status());
  AskToEnd(*shim, [this, shim = *shim, ended = std::move(ended)](const absl::Status& end) mutable {
    Release(shim);
    ended(end);
  });
}

void ShimManager::AskToEnd(const std::shared_ptr<Shim>& shim,
                           absl::AnyInvocable<void(absl::Status)> then) {
  if (!Retire(shim)) return then(absl::OkStatus());
  ::containerd::task::v3::ShutdownRequest request;
  request.set_id(shim->bundle().id());
  shim->Call<google::protobuf::Empty>(
      "Shutdown", request, absl::Now() + options_.timeouts.shutdown,
      [then = std::move(then)](const absl::StatusOr<google::protobuf::Empty>& done) mutable {
        // A shim may well end before its answer is out.
        then(IsClosed(done.status()) ? absl::OkStatus() : done.status());
      });
}

absl::StatusOr<std::shared_ptr<Shim>> ShimManager::Connect(Bundle bundle,
                                                           std::filesystem::path program,
                                                           const StartAnswer& answer, bool record,
                                                           OnLost on_lost) {
  if (record) RETURN_IF_ERROR(bundle.WriteEndpoint(answer.endpoint));
  ASSIGN_OR_RETURN(std::unique_ptr<ShimLog> log,
                   ShimLog::Open(*loop_, bundle.log(), bundle.ns(), bundle.id()));
  return Join({.bundle = std::move(bundle),
               .program = std::move(program),
               .mounts = answer.mounts,
               .log = std::move(log),
               .process = nullptr},
              answer.endpoint, std::move(on_lost));
}

ShimManager::Line* ShimManager::FindLine(const Endpoint& endpoint) {
  for (Line& line : lines_) {
    if (!line.retired && line.connection->endpoint() == endpoint && !line.connection->closed()) {
      return &line;
    }
  }
  return nullptr;
}

std::shared_ptr<Shim> ShimManager::Enter(Line& line, Shim::Parts parts, OnLost on_lost) {
  auto shim = std::make_shared<Shim>(std::move(parts), line.connection);
  line.members.push_back({.shim = shim, .on_lost = std::move(on_lost)});
  return shim;
}

absl::StatusOr<std::shared_ptr<Shim>> ShimManager::Join(Shim::Parts parts, const Endpoint& endpoint,
                                                        OnLost on_lost) {
  {
    base::MutexLock lock(mutex_);
    // Found and entered at once: in between, the last member might retire it.
    if (Line* known = FindLine(endpoint)) {
      return Enter(*known, std::move(parts), std::move(on_lost));
    }
  }
  ASSIGN_OR_RETURN(std::shared_ptr<ShimConnection> connection,
                   ShimConnection::Connect(*ttrpc_loop_, endpoint,
                                           [this](const ShimConnection& lost) { Lose(lost); }));
  std::shared_ptr<Shim> shim;
  {
    base::MutexLock lock(mutex_);
    // Another task of the same shim may have been quicker.
    Line* line = FindLine(endpoint);
    if (line == nullptr) {
      // The news came before the line was known, and will not come again.
      if (connection->closed()) return Annotate(ttrpc::ClosedError(), "shim went away");
      line = &lines_.emplace_back(Line{.connection = connection, .number = ++last_line_});
    }
    shim = Enter(*line, std::move(parts), std::move(on_lost));
  }
  // Closing waits for the connection's thread, which may want the lock.
  if (&shim->connection() != connection.get()) connection->Close();
  return shim;
}

absl::StatusOr<std::shared_ptr<Shim>> ShimManager::JoinNew(Shim::Parts parts,
                                                           const Endpoint& endpoint,
                                                           kernel::UniqueFd socket, uint64_t older,
                                                           OnLost on_lost) {
  ASSIGN_OR_RETURN(const std::shared_ptr<ShimConnection> connection,
                   ShimConnection::Adopt(*ttrpc_loop_, endpoint, std::move(socket),
                                         [this](const ShimConnection& lost) { Lose(lost); }));
  base::MutexLock lock(mutex_);
  // Whoever served there before is gone, though the news may not have come yet.
  for (Line& line : lines_) {
    if (line.number <= older && line.connection->endpoint() == endpoint) line.retired = true;
  }
  // One that has broken already is left to the first call, which will say why.
  return Enter(lines_.emplace_back(Line{.connection = connection, .number = ++last_line_}),
               std::move(parts), std::move(on_lost));
}

std::vector<ShimManager::Line>::iterator ShimManager::LineOf(const ShimConnection& connection) {
  return std::find_if(lines_.begin(), lines_.end(),
                      [&](const Line& line) { return line.connection.get() == &connection; });
}

void ShimManager::Release(const std::shared_ptr<Shim>& shim) {
  std::vector<Member> dropped;  // destroyed outside the lock
  bool last = false;
  {
    base::MutexLock lock(mutex_);
    const auto line = LineOf(shim->connection());
    if (line == lines_.end()) return;
    const auto mine =
        std::partition(line->members.begin(), line->members.end(),
                       [&](const Member& member) { return member.shim.lock() != shim; });
    dropped.assign(std::make_move_iterator(mine), std::make_move_iterator(line->members.end()));
    line->members.erase(mine, line->members.end());
    last = line->members.empty();
    if (last) lines_.erase(line);
  }
  if (last) shim->connection().Close();
}

bool ShimManager::Retire(const std::shared_ptr<Shim>& shim) {
  base::MutexLock lock(mutex_);
  const auto line = LineOf(shim->connection());
  if (line == lines_.end() || line->retired) return true;
  // A server may have two, when somebody joined while it was being started.
  const auto same = [&](const Line& other) {
    return !other.retired && other.connection->endpoint() == shim->connection().endpoint();
  };
  size_t members = 0;
  for (const Line& other : lines_) members += same(other) ? other.members.size() : 0;
  if (members > 1) return false;
  for (Line& other : lines_) other.retired = other.retired || same(other);
  return true;
}

void ShimManager::Lose(const ShimConnection& connection) {
  std::vector<Member> members;
  std::shared_ptr<ShimConnection> lost;  // destroyed outside the lock
  {
    base::MutexLock lock(mutex_);
    const auto line = LineOf(connection);
    if (line == lines_.end()) return;
    members = std::move(line->members);
    lost = std::move(line->connection);
    lines_.erase(line);
  }
  for (Member& member : members) {
    if (member.shim.lock() != nullptr && member.on_lost != nullptr) member.on_lost();
  }
}

}  // namespace gantry::runtime
