// SPDX-License-Identifier: Apache-2.0
#include "services/snapshots/service.h"

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "core/snapshots/snapshotter.h"
#include "proto/services/snapshots/v1/snapshots.grpc.pb.h"
#include "services/rpc/async_stream.h"
#include "services/rpc/convert.h"
#include "services/rpc/service.h"
#include "services/rpc/unary.h"
#include "services/snapshots/convert.h"

namespace gantry::snapshots {
namespace {

namespace pb = ::containerd::services::snapshots::v1;
using google::protobuf::Empty;
using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;
using Snapshotters = std::map<std::string, Snapshotter*>;

// Turns the answer of a snapshotter into that of the call.
template <typename Value, typename Response, typename Fill>
Done<Value> Answer(rpc::Done<Response> done, Fill fill) {
  return [done = std::move(done), fill](absl::StatusOr<Value> value) mutable {
    if (!value.ok()) return std::move(done)(value.status());
    Response response;
    fill(*value, response);
    std::move(done)(std::move(response));
  };
}

DoneStatus AnswerEmpty(rpc::Done<Empty> done) {
  return [done = std::move(done)](absl::Status status) mutable {
    if (status.ok()) {
      std::move(done)(Empty());
    } else {
      std::move(done)(std::move(status));
    }
  };
}

template <typename Response>
auto FillMounts() {
  return [](const mount::Mounts& mounts, Response& response) {
    ToProto(mounts, response.mutable_mounts());
  };
}

template <typename Response>
auto FillInfo() {
  return [](const Info& info, Response& response) { ToProto(info, response.mutable_info()); };
}

// Fills one message after the other with a page each.
struct Pager {
  Snapshotter* snapshotter = nullptr;
  filters::Filter filter;
  std::string after;
  bool last = false;

  void Next(const Context& ctx, pb::ListSnapshotsResponse& message,
            absl::AnyInvocable<void(absl::StatusOr<bool>)> done) {
    if (last) return std::move(done)(false);
    snapshotter->List(
        ctx, {.after = after, .match = [this](const Info& info) { return Matches(filter, info); }},
        [this, &message, done = std::move(done)](absl::StatusOr<ListPage> page) mutable {
          if (!page.ok()) return std::move(done)(page.status());
          after = page->next;
          last = page->next.empty();
          for (const Info& info : page->infos) ToProto(info, message.add_info());
          std::move(done)(message.info_size() > 0);
        });
  }
};

class SnapshotsService final : public rpc::Service, public pb::Snapshots::CallbackService {
 public:
  SnapshotsService(Snapshotters snapshotters, base::WorkerPool& workers)
      : snapshotters_(std::move(snapshotters)), workers_(workers) {}

  grpc::Service& grpc() override { return *this; }

  ServerUnaryReactor* Prepare(CallbackServerContext* call,
                              const pb::PrepareSnapshotRequest* request,
                              pb::PrepareSnapshotResponse* response) override {
    return Run(
        call, request, response,
        [request](Snapshotter& snapshotter, const Context& ctx, auto done) {
          snapshotter.Prepare(
              ctx, Make(*request),
              Answer<mount::Mounts>(std::move(done), FillMounts<pb::PrepareSnapshotResponse>()));
        });
  }

  ServerUnaryReactor* View(CallbackServerContext* call, const pb::ViewSnapshotRequest* request,
                           pb::ViewSnapshotResponse* response) override {
    return Run(call, request, response,
               [request](Snapshotter& snapshotter, const Context& ctx, auto done) {
                 snapshotter.View(ctx, Make(*request),
                                  Answer<mount::Mounts>(std::move(done),
                                                        FillMounts<pb::ViewSnapshotResponse>()));
               });
  }

  ServerUnaryReactor* Mounts(CallbackServerContext* call, const pb::MountsRequest* request,
                             pb::MountsResponse* response) override {
    return Run(call, request, response,
               [request](Snapshotter& snapshotter, const Context& ctx, auto done) {
                 snapshotter.Mounts(
                     ctx, request->key(),
                     Answer<mount::Mounts>(std::move(done), FillMounts<pb::MountsResponse>()));
               });
  }

  ServerUnaryReactor* Commit(CallbackServerContext* call, const pb::CommitSnapshotRequest* request,
                             Empty* response) override {
    return Run(call, request, response,
               [request](Snapshotter& snapshotter, const Context& ctx, auto done) {
                 snapshotter.Commit(ctx,
                                    {.name = request->name(),
                                     .key = request->key(),
                                     .labels = rpc::FromProto(request->labels()),
                                     .parent = request->parent()},
                                    AnswerEmpty(std::move(done)));
               });
  }

  ServerUnaryReactor* Remove(CallbackServerContext* call, const pb::RemoveSnapshotRequest* request,
                             Empty* response) override {
    return Run(call, request, response,
               [request](Snapshotter& snapshotter, const Context& ctx, auto done) {
                 snapshotter.Remove(ctx, request->key(), AnswerEmpty(std::move(done)));
               });
  }

  ServerUnaryReactor* Stat(CallbackServerContext* call, const pb::StatSnapshotRequest* request,
                           pb::StatSnapshotResponse* response) override {
    return Run(call, request, response,
               [request](Snapshotter& snapshotter, const Context& ctx, auto done) {
                 snapshotter.Stat(
                     ctx, request->key(),
                     Answer<Info>(std::move(done), FillInfo<pb::StatSnapshotResponse>()));
               });
  }

  ServerUnaryReactor* Update(CallbackServerContext* call, const pb::UpdateSnapshotRequest* request,
                             pb::UpdateSnapshotResponse* response) override {
    return Run(
        call, request, response,
        [request](Snapshotter& snapshotter, const Context& ctx, auto done) {
          if (!request->has_info())
            return std::move(done)(InvalidArgument("info is missing in the request"));
          snapshotter.Update(
              ctx,
              {.name = request->info().name(), .labels = rpc::FromProto(request->info().labels())},
              rpc::FromProto(request->update_mask()),
              Answer<Info>(std::move(done), FillInfo<pb::UpdateSnapshotResponse>()));
        });
  }

  ServerUnaryReactor* Usage(CallbackServerContext* call, const pb::UsageRequest* request,
                            pb::UsageResponse* response) override {
    return Run(call, request, response,
               [request](Snapshotter& snapshotter, const Context& ctx, auto done) {
                 snapshotter.GetUsage(
                     ctx, request->key(),
                     Answer<snapshots::Usage>(std::move(done), [](const snapshots::Usage& usage,
                                                                  pb::UsageResponse& answer) {
                       answer.set_size(usage.size_bytes);
                       answer.set_inodes(usage.inodes);
                     }));
               });
  }

  ServerUnaryReactor* Cleanup(CallbackServerContext* call, const pb::CleanupRequest* request,
                              Empty* response) override {
    return Run(call, request, response,
               [](Snapshotter& snapshotter, const Context& ctx, auto done) {
                 snapshotter.Cleanup(ctx, AnswerEmpty(std::move(done)));
               });
  }

  grpc::ServerWriteReactor<pb::ListSnapshotsResponse>* List(
      CallbackServerContext* call, const pb::ListSnapshotsRequest* request) override {
    absl::StatusOr<Snapshotter*> snapshotter = Find(request->snapshotter());
    absl::StatusOr<filters::Filter> filter = filters::Parse(request->filters());
    absl::Status valid = snapshotter.status();
    valid.Update(filter.status());
    auto pager = std::make_shared<Pager>();
    if (valid.ok()) *pager = {.snapshotter = *snapshotter, .filter = *std::move(filter)};
    return rpc::RunAsyncStream<pb::ListSnapshotsResponse>(
        call, workers_,
        [valid, pager](const Context& ctx, pb::ListSnapshotsResponse& message, auto done) {
          if (!valid.ok()) return std::move(done)(valid);
          pager->Next(ctx, message, std::move(done));
        });
  }

 private:
  template <typename Request>
  static PrepareRequest Make(const Request& request) {
    return {.key = request.key(),
            .parent = request.parent(),
            .labels = rpc::FromProto(request.labels())};
  }

  absl::StatusOr<Snapshotter*> Find(const std::string& name) const {
    if (name.empty()) return InvalidArgument("snapshotter argument missing");
    const auto found = snapshotters_.find(name);
    if (found == snapshotters_.end()) return InvalidArgument("snapshotter not loaded: {}", name);
    return found->second;
  }

  // Calls `body(snapshotter, ctx, done)` on the pool: a local snapshotter blocks on the disk there,
  // another answers later.
  template <typename Request, typename Response, typename Body>
  ServerUnaryReactor* Run(CallbackServerContext* call, const Request* request, Response* response,
                          Body body) {
    return rpc::RunAsync<Response>(
        call, response, [&](const Context& ctx, rpc::Done<Response> done) {
          const absl::StatusOr<Snapshotter*> snapshotter = Find(request->snapshotter());
          if (!snapshotter.ok()) return std::move(done)(snapshotter.status());
          rpc::Post<Response>(workers_, std::move(done),
                              [ctx, body, snapshotter = *snapshotter](rpc::Done<Response> answer) {
                                body(*snapshotter, ctx, std::move(answer));
                              });
        });
  }

  const Snapshotters snapshotters_;
  base::WorkerPool& workers_;
};

}  // namespace

plugin::Registration ServicePlugin(base::WorkerPool& workers) {
  return plugin::Provide(rpc::kService, plugin::Spec<rpc::Service>{
                                            .id = "snapshots",
                                            .needs = {kSnapshotter.uri},
                                            .init = [&workers](plugin::InitContext& init)
                                                -> absl::StatusOr<std::unique_ptr<rpc::Service>> {
                                              return std::make_unique<SnapshotsService>(
                                                  init.All(kSnapshotter), workers);
                                            }});
}

}  // namespace gantry::snapshots
