// SPDX-License-Identifier: Apache-2.0
#include "snapshotters/proxy/client.h"

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <optional>
#include <utility>

#include "core/metadata/record.h"
#include "proxies/rpc/channel.h"
#include "snapshotters/proxy/convert.h"

namespace gantry::proxy {
namespace {

namespace pb = ::containerd::services::snapshots::v1;
using google::protobuf::Empty;
using snapshots::Done;
using snapshots::DoneStatus;
using snapshots::Info;

template <typename Response>
Done<Response> StatusOnly(DoneStatus done) {
  return [done = std::move(done)](absl::StatusOr<Response> response) mutable {
    std::move(done)(response.status());
  };
}

// The answer as `convert` sees it.
template <typename Response, typename T, typename Convert>
Done<Response> Converted(Done<T> done, Convert convert) {
  return [done = std::move(done), convert](absl::StatusOr<Response> response) mutable {
    if (response.ok()) {
      std::move(done)(convert(*response));
    } else {
      std::move(done)(response.status());
    }
  };
}

template <typename Response>
mount::Mounts MountsOf(const Response& response) {
  return FromProto(response.mounts());
}

template <typename Response>
Info InfoOf(const Response& response) {
  return FromProto(response.info());
}

template <typename Request>
Request CreateMessage(const snapshots::PrepareRequest& request) {
  Request message;
  message.set_key(request.key);
  message.set_parent(request.parent);
  metadata::ToProto(request.labels, message.mutable_labels());
  return message;
}

template <typename Request>
Request KeyMessage(const std::string& key) {
  Request message;
  message.set_key(key);
  return message;
}

// A filter's quoted value.
std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace

template <typename Request, typename Response>
struct ProxyClient::Call {
  Call(base::Gate::Pass entered, const Context& ctx, absl::Duration budget,
       const std::stop_token& closing, Request wanted)
      : pass(std::move(entered)),
        cancel(context, ctx, budget, closing),
        request(std::move(wanted)) {}

  const base::Gate::Pass pass;
  grpc::ClientContext context;
  const proxies::CallScope cancel;
  const Request request;
  Response response;
};

ProxyClient::ProxyClient(const std::string& address, std::string snapshotter, Budgets budgets)
    : snapshotter_(std::move(snapshotter)),
      budgets_(budgets),
      channel_(proxies::Connect(address)),
      stub_(pb::Snapshots::NewStub(channel_)) {}

ProxyClient::~ProxyClient() {
  closing_.request_stop();
  gate_.Close();
}

bool ProxyClient::MayBeReachable() const { return proxies::MayBeReachable(*channel_); }

template <typename Response, typename Request, typename Invoke>
void ProxyClient::Start(const Context& ctx, absl::Duration budget, Request request, Invoke invoke,
                        Done<Response> done) {
  std::optional<base::Gate::Pass> pass = gate_.Enter();
  if (!pass) return std::move(done)(Unavailable("snapshotter {} is closing", snapshotter_));
  if (const absl::Status wanted = ctx.Check(); !wanted.ok()) return std::move(done)(wanted);
  request.set_snapshotter(snapshotter_);
  const auto call = std::make_shared<Call<Request, Response>>(
      *std::move(pass), ctx, budget, closing_.get_token(), std::move(request));
  // gRPC copies the callback, so what can only be moved is shared.
  const auto answer = std::make_shared<Done<Response>>(std::move(done));
  invoke(*stub_->async(), &call->context, &call->request, &call->response,
         [call, answer](const grpc::Status& status) {
           if (status.ok()) {
             std::move (*answer)(std::move(call->response));
           } else {
             std::move (*answer)(proxies::FromGrpc(status));
           }
         });
}

void ProxyClient::Prepare(const Context& ctx, const snapshots::PrepareRequest& request,
                          Done<mount::Mounts> done) {
  using Response = pb::PrepareSnapshotResponse;
  Start<Response>(
      ctx, budgets_.create, CreateMessage<pb::PrepareSnapshotRequest>(request),
      [](auto& stub, auto... call) { stub.Prepare(std::move(call)...); },
      Converted<Response>(std::move(done), MountsOf<Response>));
}

void ProxyClient::View(const Context& ctx, const snapshots::PrepareRequest& request,
                       Done<mount::Mounts> done) {
  using Response = pb::ViewSnapshotResponse;
  Start<Response>(
      ctx, budgets_.create, CreateMessage<pb::ViewSnapshotRequest>(request),
      [](auto& stub, auto... call) { stub.View(std::move(call)...); },
      Converted<Response>(std::move(done), MountsOf<Response>));
}

void ProxyClient::Mounts(const Context& ctx, const std::string& key, Done<mount::Mounts> done) {
  using Response = pb::MountsResponse;
  Start<Response>(
      ctx, budgets_.ask, KeyMessage<pb::MountsRequest>(key),
      [](auto& stub, auto... call) { stub.Mounts(std::move(call)...); },
      Converted<Response>(std::move(done), MountsOf<Response>));
}

void ProxyClient::Commit(const Context& ctx, const snapshots::CommitRequest& request,
                         DoneStatus done) {
  pb::CommitSnapshotRequest message;
  message.set_name(request.name);
  message.set_key(request.key);
  message.set_parent(request.parent);
  metadata::ToProto(request.labels, message.mutable_labels());
  Start<Empty>(
      ctx, budgets_.commit, std::move(message),
      [](auto& stub, auto... call) { stub.Commit(std::move(call)...); },
      StatusOnly<Empty>(std::move(done)));
}

void ProxyClient::Remove(const Context& ctx, const std::string& key, DoneStatus done) {
  Start<Empty>(
      ctx, budgets_.remove, KeyMessage<pb::RemoveSnapshotRequest>(key),
      [](auto& stub, auto... call) { stub.Remove(std::move(call)...); },
      StatusOnly<Empty>(std::move(done)));
}

void ProxyClient::Stat(const Context& ctx, const std::string& key, Done<Info> done) {
  using Response = pb::StatSnapshotResponse;
  Start<Response>(
      ctx, budgets_.ask, KeyMessage<pb::StatSnapshotRequest>(key),
      [](auto& stub, auto... call) { stub.Stat(std::move(call)...); },
      Converted<Response>(std::move(done), InfoOf<Response>));
}

void ProxyClient::Update(const Context& ctx, const std::string& key, const Labels& labels,
                         const metadata::FieldMask& mask, Done<Info> done) {
  using Response = pb::UpdateSnapshotResponse;
  pb::UpdateSnapshotRequest message;
  message.mutable_info()->set_name(key);
  metadata::ToProto(labels, message.mutable_info()->mutable_labels());
  for (const std::string& path : mask) message.mutable_update_mask()->add_paths(path);
  Start<Response>(
      ctx, budgets_.ask, std::move(message),
      [](auto& stub, auto... call) { stub.Update(std::move(call)...); },
      Converted<Response>(std::move(done), InfoOf<Response>));
}

void ProxyClient::GetUsage(const Context& ctx, const std::string& key,
                           Done<snapshots::Usage> done) {
  using Response = pb::UsageResponse;
  Start<Response>(
      ctx, budgets_.ask, KeyMessage<pb::UsageRequest>(key),
      [](auto& stub, auto... call) { stub.Usage(std::move(call)...); },
      Converted<Response>(std::move(done), [](const Response& response) {
        return snapshots::Usage{.size_bytes = response.size(), .inodes = response.inodes()};
      }));
}

void ProxyClient::Cleanup(const Context& ctx, DoneStatus done) {
  Start<Empty>(
      ctx, budgets_.cleanup, pb::CleanupRequest(),
      [](auto& stub, auto... call) { stub.Cleanup(std::move(call)...); },
      StatusOnly<Empty>(std::move(done)));
}

// Reads a list until the snapshot shows up. Ends itself: gRPC calls OnDone last.
class ProxyClient::TargetSearch final : public grpc::ClientReadReactor<pb::ListSnapshotsResponse> {
 public:
  TargetSearch(base::Gate::Pass pass, const Context& ctx, absl::Duration budget,
               const std::stop_token& closing, std::string target, std::string parent,
               Done<Info> done)
      : pass_(std::move(pass)),
        cancel_(context_, ctx, budget, closing),
        target_(std::move(target)),
        parent_(std::move(parent)),
        done_(std::move(done)) {}

  void Start(Stub& stub, const std::string& snapshotter) {
    request_.set_snapshotter(snapshotter);
    request_.add_filters("labels." + Quoted(std::string(snapshots::kTargetLabel)) +
                         "==" + Quoted(target_) + ",parent==" + Quoted(parent_));
    stub.async()->List(&context_, &request_, this);
    StartRead(&message_);
    StartCall();
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return;  // The end; OnDone tells which.
    for (const pb::Info& info : message_.info()) {
      if (!IsWanted(info)) continue;
      found_ = FromProto(info);
      context_.TryCancel();
      return;
    }
    StartRead(&message_);
  }

  // A peer need not understand filters.
  bool IsWanted(const pb::Info& info) const {
    const auto label = info.labels().find(std::string(snapshots::kTargetLabel));
    return info.kind() == pb::COMMITTED && info.parent() == parent_ &&
           label != info.labels().end() && label->second == target_;
  }

  void OnDone(const grpc::Status& status) override {
    if (found_) {
      std::move(done_)(*std::move(found_));
    } else if (status.ok()) {
      std::move(done_)(NotFound("target snapshot {:?} in backend", target_));
    } else {
      std::move(done_)(proxies::FromGrpc(status));
    }
    delete this;
  }

  const base::Gate::Pass pass_;
  grpc::ClientContext context_;
  const proxies::CallScope cancel_;
  const std::string target_;
  const std::string parent_;
  Done<Info> done_;
  pb::ListSnapshotsRequest request_;
  pb::ListSnapshotsResponse message_;
  std::optional<Info> found_;
};

void ProxyClient::FindTarget(const Context& ctx, const std::string& target,
                             const std::string& parent, Done<Info> done) {
  std::optional<base::Gate::Pass> pass = gate_.Enter();
  if (!pass) return std::move(done)(Unavailable("snapshotter {} is closing", snapshotter_));
  auto* search = new TargetSearch(*std::move(pass), ctx, budgets_.ask, closing_.get_token(), target,
                                  parent, std::move(done));
  search->Start(*stub_, snapshotter_);
}

}  // namespace gantry::proxy
