// SPDX-License-Identifier: Apache-2.0
#include "services/server/call_table.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "services/server/unknown_methods.h"

namespace gantry::server {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerRpcInfo;

std::string_view TypeName(ServerRpcInfo::Type type) {
  switch (type) {
    case ServerRpcInfo::Type::UNARY:
      return "unary";
    case ServerRpcInfo::Type::CLIENT_STREAMING:
      return "client_stream";
    case ServerRpcInfo::Type::SERVER_STREAMING:
      return "server_stream";
    case ServerRpcInfo::Type::BIDI_STREAMING:
      return "bidi_stream";
  }
  return "unknown";
}

// The codes as the Go library spells them, which dashboards select by.
constexpr std::array<std::string_view, MethodStats::kCodes> kCodeNames = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

// What methods beyond the limit go by.
constexpr std::string_view kOtherMethods = "/other/other";

// Streams and waits for an exit last as long as somebody outside wants.
bool Waits(ServerRpcInfo& info) {
  return info.type() != ServerRpcInfo::Type::UNARY ||
         std::string_view(info.method()).ends_with("/Wait");
}

}  // namespace

// Lives as long as its call.
class CallInterceptor final : public grpc::experimental::Interceptor {
 public:
  CallInterceptor(CallTable& table, ServerRpcInfo& info)
      : table_(table),
        stats_(table.StatsOf(info.method(), TypeName(info.type()))),
        method_(info.method()),
        start_(absl::Now()),
        waits_(Waits(info)),
        id_(table.Enter({method_, start_, waits_})) {
    ++stats_.started;
  }
  ~CallInterceptor() override { table_.Leave(id_, waits_); }

  void Intercept(InterceptorBatchMethods* batch) override {
    if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_MESSAGE) &&
        batch->GetRecvMessage() != nullptr) {
      ++stats_.received;
    }
    if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_MESSAGE)) {
      ++stats_.sent;
    }
    if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      const grpc::Status status = batch->GetSendStatus();
      const auto code = static_cast<size_t>(status.error_code());
      // What a generated service answers for a method that ours does not override has no text.
      if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED &&
          status.error_message().empty()) {
        batch->ModifySendStatus({status.error_code(), DescribeUnserved(method_)});
      }
      ++stats_.handled[code < MethodStats::kCodes ? code : 2];
      stats_.duration.Observe(absl::Now() - start_);
    }
    batch->Proceed();
  }

 private:
  CallTable& table_;
  MethodStats& stats_;
  const std::string method_;
  const absl::Time start_;
  const bool waits_;
  const uint64_t id_;
};

namespace {

class CallInterceptorFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit CallInterceptorFactory(CallTable& table) : table_(table) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    return std::make_unique<CallInterceptor>(table_, *info).release();  // gRPC deletes it.
  }

 private:
  CallTable& table_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>
CallTable::MakeInterceptors() {
  return std::make_unique<CallInterceptorFactory>(*this);
}

MethodStats& CallTable::StatsOf(std::string_view method, std::string_view type) {
  base::MutexLock lock(mutex_);
  // Clients may invent names: those beyond any real number of methods share one entry.
  if (methods_.size() >= kMaxMethods && !methods_.contains(method)) method = kOtherMethods;
  const auto found = methods_.find(method);
  if (found != methods_.end()) return *found->second;
  auto stats = std::make_unique<MethodStats>();
  stats->type = type;
  return *methods_.emplace(method, std::move(stats)).first->second;
}

uint64_t CallTable::Enter(OpenCall call) {
  if (!call.waits) ++bounded_;
  base::MutexLock lock(mutex_);
  open_.emplace(++last_id_, std::move(call));
  return last_id_;
}

void CallTable::Leave(uint64_t id, bool waits) {
  if (!waits) --bounded_;
  base::MutexLock lock(mutex_);
  open_.erase(id);
}

std::vector<OpenCall> CallTable::Open() const {
  base::MutexLock lock(mutex_);
  std::vector<OpenCall> calls;
  for (const auto& [id, call] : open_) calls.push_back(call);
  return calls;
}

void CallTable::AddMetrics(std::vector<metrics::Family>& families) const {
  using metrics::Type;
  metrics::Family started{"grpc_server_started_total", "RPCs started on the server.",
                          Type::kCounter};
  metrics::Family handled{"grpc_server_handled_total",
                          "RPCs completed on the server, by status code.", Type::kCounter};
  metrics::Family received{"grpc_server_msg_received_total", "Messages received on the server.",
                           Type::kCounter};
  metrics::Family sent{"grpc_server_msg_sent_total", "Messages sent by the server.",
                       Type::kCounter};
  metrics::Family duration{"grpc_server_handling_seconds", "How long RPCs took on the server.",
                           Type::kHistogram};
  {
    base::MutexLock lock(mutex_);
    for (const auto& [name, stats] : methods_) {
      const size_t slash = name.rfind('/');
      const metrics::Labels labels = {{"grpc_service", name.substr(1, slash - 1)},
                                      {"grpc_method", name.substr(slash + 1)},
                                      {"grpc_type", stats->type}};
      const auto add = [&labels](metrics::Family& family, uint64_t value) {
        family.samples.push_back({labels, static_cast<double>(value)});
      };
      add(started, stats->started);
      add(received, stats->received);
      add(sent, stats->sent);
      for (size_t code = 0; code < MethodStats::kCodes; ++code) {
        if (stats->handled[code] == 0) continue;
        add(handled, stats->handled[code]);
        handled.samples.back().labels["grpc_code"] = kCodeNames[code];
      }
      if (histogram_) stats->duration.AddTo(duration, labels);
    }
  }
  for (metrics::Family* family : {&started, &handled, &received, &sent}) {
    families.push_back(std::move(*family));
  }
  if (histogram_) families.push_back(std::move(duration));
}

}  // namespace gantry::server
