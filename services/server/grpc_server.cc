// SPDX-License-Identifier: Apache-2.0
#include "services/server/grpc_server.h"

#include <grpcpp/server_builder.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "core/base/status.h"
#include "core/config/config.h"
#include "core/log/log.h"

namespace gantry::server {
namespace {

constexpr absl::Duration kDrainPoll = absl::Milliseconds(10);

// A private umask while the socket is made: nobody may connect before it has its mode and owner.
class ScopedUmask {
 public:
  explicit ScopedUmask(mode_t mask) : before_(::umask(mask)) {}
  ~ScopedUmask() { ::umask(before_); }
  ScopedUmask(const ScopedUmask&) = delete;
  ScopedUmask& operator=(const ScopedUmask&) = delete;

 private:
  const mode_t before_;
};

}  // namespace

absl::StatusOr<GrpcOptions> DecodeGrpc(config::Section& section) {
  GrpcOptions options;
  ASSIGN_OR_RETURN(options.socket.address,
                   section.Get("address", std::string(config::kDefaultAddress)));
  ASSIGN_OR_RETURN(options.socket.uid, section.Get("uid", ::geteuid()));
  ASSIGN_OR_RETURN(options.socket.gid, section.Get("gid", ::getegid()));
  ASSIGN_OR_RETURN(options.max_recv_message_bytes,
                   section.Get("max_recv_message_size", options.max_recv_message_bytes));
  ASSIGN_OR_RETURN(options.max_send_message_bytes,
                   section.Get("max_send_message_size", options.max_send_message_bytes));
  return options;
}

absl::Status GrpcServer::Start() {
  RETURN_IF_ERROR(PrepareSocket(options_.socket));
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(options_.max_recv_message_bytes);
  builder.SetMaxSendMessageSize(options_.max_send_message_bytes);
  builder.AddListeningPort("unix:" + options_.socket.address, grpc::InsecureServerCredentials());
  for (rpc::Service* service : services_) builder.RegisterService(&service->grpc());
  builder.RegisterCallbackGenericService(&unknown_);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> creators;
  creators.push_back(calls_.MakeInterceptors());
  builder.experimental().SetInterceptorCreators(std::move(creators));
  {
    const ScopedUmask nobody_else(0177);
    server_ = builder.BuildAndStart();
  }
  if (server_ == nullptr) return Unavailable("cannot listen on {}", options_.socket.address);
  RETURN_IF_ERROR(ProtectSocket(options_.socket));
  log::Info("serving gRPC", {{"address", options_.socket.address}});
  return absl::OkStatus();
}

void GrpcServer::Stop(absl::Time deadline) {
  if (server_ == nullptr) return;
  ::unlink(options_.socket.address.c_str());  // New clients find nobody.
  while (calls_.Bounded() > 0 && absl::Now() < deadline) {
    absl::SleepFor(std::min(kDrainPoll, deadline - absl::Now()));
  }
  // Now, not an infinite past: gRPC takes a time before 1970 for one that never comes.
  server_->Shutdown(absl::ToChronoTime(absl::Now()));
  server_->Wait();
  server_.reset();
}

}  // namespace gantry::server
