// SPDX-License-Identifier: Apache-2.0
#include "cmd/gantryd/grpc_server.h"

#include <grpcpp/server_builder.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/log/log.h"

namespace gantry {
namespace {

constexpr size_t kMaxSocketPath = 104;
constexpr mode_t kSocketMode = 0660;
constexpr mode_t kFolderMode = 0770;

// The folder above the socket; one that exists is left alone.
absl::Status PrepareFolder(const std::filesystem::path& folder, uid_t uid, gid_t gid) {
  struct stat attributes {};
  if (::stat(folder.c_str(), &attributes) == 0) return absl::OkStatus();
  std::error_code error;
  std::filesystem::create_directories(folder.parent_path(), error);
  if (error)
    return FromErrno(error.value(), fmt::format("create {}", folder.parent_path().string()));
  if (::mkdir(folder.c_str(), kFolderMode) != 0)
    return FromErrno(errno, fmt::format("create {}", folder.string()));
  if (::chown(folder.c_str(), uid, gid) != 0)
    return FromErrno(errno, fmt::format("chown {}", folder.string()));
  return absl::OkStatus();
}

absl::Status PrepareSocket(const GrpcServerOptions& options) {
  if (options.address.size() > kMaxSocketPath) {
    return InvalidArgument("socket path {} is longer than {} characters", options.address,
                           kMaxSocketPath);
  }
  RETURN_IF_ERROR(PrepareFolder(std::filesystem::path(options.address).parent_path(), options.uid,
                                options.gid));
  if (::unlink(options.address.c_str()) != 0 && errno != ENOENT) {
    return FromErrno(errno, fmt::format("remove stale socket {}", options.address));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(
    const GrpcServerOptions& options, std::span<rpc::Service* const> services) {
  RETURN_IF_ERROR(PrepareSocket(options));
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(options.max_recv_message_bytes);
  builder.SetMaxSendMessageSize(options.max_send_message_bytes);
  builder.AddListeningPort("unix:" + options.address, grpc::InsecureServerCredentials());
  for (rpc::Service* service : services) builder.RegisterService(&service->grpc());
  // Nobody may connect before the socket has its mode and owner.
  const mode_t before = ::umask(0177);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ::umask(before);
  if (server == nullptr) return Unavailable("cannot listen on {}", options.address);
  if (::chown(options.address.c_str(), options.uid, options.gid) != 0 ||
      ::chmod(options.address.c_str(), kSocketMode) != 0) {
    return FromErrno(errno, fmt::format("set owner and mode of {}", options.address));
  }
  log::Info("serving", {{"address", options.address}});
  return std::unique_ptr<GrpcServer>(new GrpcServer(std::move(server), options.address));
}

GrpcServer::~GrpcServer() { Stop(absl::InfinitePast()); }

void GrpcServer::Stop(absl::Time deadline) {
  if (server_ == nullptr) return;
  server_->Shutdown(absl::ToChronoTime(deadline));
  server_->Wait();
  server_.reset();
  ::unlink(socket_.c_str());
}

}  // namespace gantry
