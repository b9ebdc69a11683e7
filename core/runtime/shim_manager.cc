// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/shim_manager.h"

#include <algorithm>
#include <utility>

#include "core/log/log.h"
#include "core/ttrpc/rpc_status.h"

namespace gantry::runtime {
namespace {

constexpr size_t kStepThreads = 4;
constexpr size_t kSlowThreads = 8;
constexpr size_t kQueuedSteps = 4096;

}  // namespace

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
      launcher_(*loop_, steps_, options_.launcher) {}

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
  auto connect = [this, bundle, program, on_lost = std::move(on_lost),
                  done = std::move(done)](absl::StatusOr<StartAnswer> answer) mutable {
    if (!answer.ok()) return done(Annotate(answer.status(), "start failed"));
    steps_.Run([this, bundle = std::move(bundle), program = std::move(program),
                answer = *std::move(answer), on_lost = std::move(on_lost),
                done = std::move(done)]() mutable {
      done(Connect(std::move(bundle), std::move(program), answer, true, std::move(on_lost)));
    });
  };
  launcher_.Start(bundle, program, std::move(options), options_.timeouts.start_shim,
                  std::move(connect));
}

absl::StatusOr<std::shared_ptr<Shim>> ShimManager::Connect(Bundle bundle,
                                                           std::filesystem::path program,
                                                           const StartAnswer& answer, bool record,
                                                           OnLost on_lost) {
  ASSIGN_OR_RETURN(std::unique_ptr<ShimLog> log,
                   ShimLog::Open(*loop_, bundle.log(), bundle.ns(), bundle.id()));
  if (record) RETURN_IF_ERROR(bundle.WriteEndpoint(answer.endpoint));
  ASSIGN_OR_RETURN(std::shared_ptr<ShimConnection> connection, ConnectionTo(answer.endpoint));
  auto shim = std::make_shared<Shim>(Shim::Parts{.bundle = std::move(bundle),
                                                 .program = std::move(program),
                                                 .mounts = answer.mounts,
                                                 .log = std::move(log)},
                                     std::move(connection));
  RETURN_IF_ERROR(Join(shim, std::move(on_lost)));
  return shim;
}

std::shared_ptr<ShimConnection> ShimManager::FindLine(const Endpoint& endpoint) {
  for (const Line& line : lines_) {
    if (!line.retired && line.connection->endpoint() == endpoint && !line.connection->closed()) {
      return line.connection;
    }
  }
  return nullptr;
}

absl::StatusOr<std::shared_ptr<ShimConnection>> ShimManager::ConnectionTo(
    const Endpoint& endpoint) {
  {
    base::MutexLock lock(mutex_);
    if (std::shared_ptr<ShimConnection> known = FindLine(endpoint)) return known;
  }
  ASSIGN_OR_RETURN(std::shared_ptr<ShimConnection> connection,
                   ShimConnection::Connect(*ttrpc_loop_, endpoint,
                                           [this](const ShimConnection& lost) { Lose(lost); }));
  std::shared_ptr<ShimConnection> known;
  {
    base::MutexLock lock(mutex_);
    // Another task of the same shim may have been quicker.
    known = FindLine(endpoint);
    if (known == nullptr) lines_.push_back({.connection = connection});
  }
  if (known == nullptr) return connection;
  connection->Close();  // waits for its thread, which may want the lock
  return known;
}

std::vector<ShimManager::Line>::iterator ShimManager::LineOf(const ShimConnection& connection) {
  return std::find_if(lines_.begin(), lines_.end(),
                      [&](const Line& line) { return line.connection.get() == &connection; });
}

absl::Status ShimManager::Join(const std::shared_ptr<Shim>& shim, OnLost on_lost) {
  base::MutexLock lock(mutex_);
  const auto line = LineOf(shim->connection());
  if (line == lines_.end()) return Annotate(ttrpc::ClosedError(), "shim went away");
  if (shim->connection().closed()) {
    // The news may have come before the line was known, and will not come again.
    if (line->members.empty()) lines_.erase(line);
    return Annotate(ttrpc::ClosedError(), "shim went away");
  }
  line->members.push_back({.shim = shim, .on_lost = std::move(on_lost)});
  return absl::OkStatus();
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
  if (line == lines_.end()) return true;
  line->retired = line->members.size() <= 1;
  return line->retired;
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
