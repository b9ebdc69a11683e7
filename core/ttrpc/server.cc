// SPDX-License-Identifier: Apache-2.0
#include "core/ttrpc/server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/status.h"
#include "core/ttrpc/address.h"
#include "core/ttrpc/server_session.h"

namespace gantry::ttrpc {
namespace {

// Accept errors that pass (out of fds, say) are waited for, longer each time.
constexpr absl::Duration kFirstPause = absl::Milliseconds(1);
constexpr absl::Duration kLongestPause = absl::Seconds(1);

std::optional<Peer> PeerOf(int socket) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
  return Peer{.pid = credentials.pid, .uid = credentials.uid, .gid = credentials.gid};
}

}  // namespace

class Server::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(Loop& loop, std::string path, Services services, ServerOptions options)
      : loop_(loop),
        path_(std::move(path)),
        services_(std::move(services)),
        options_(std::move(options)) {}

  absl::Status Open(kernel::UniqueFd listener) {
    listener_ = std::move(listener);
    auto watch = loop_.Watch(listener_.get(), EPOLLIN, [this](uint32_t) { Accept(); });
    if (!watch.ok()) return watch.status();
    watch_ = *watch;
    return absl::OkStatus();
  }

  void Close() {
    if (!listener_) return;
    loop_.Unwatch(watch_);
    loop_.CancelTimer(pause_timer_);
    listener_.Reset();
    ::unlink(path_.c_str());
    for (const auto& [id, session] : sessions_) session->Close();
    sessions_.clear();
  }

  Loop& loop() { return loop_; }

 private:
  void Accept() {
    while (listener_) {
      kernel::UniqueFd socket(
          ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (socket) {
        pause_ = kFirstPause;
        Admit(std::move(socket));
      } else if (errno == EAGAIN) {
        return;
      } else if (errno != EINTR && errno != ECONNABORTED) {
        return Pause();
      }
    }
  }

  void Pause() {
    loop_.SetEvents(watch_, 0);
    pause_timer_ = loop_.After(pause_, [this] {
      loop_.SetEvents(watch_, EPOLLIN);
      Accept();
    });
    pause_ = std::min(pause_ * 2, kLongestPause);
  }

  void Admit(kernel::UniqueFd socket) {
    const auto peer = PeerOf(socket.get());
    if (!peer || sessions_.size() >= options_.max_connections) return;
    if (options_.admit && !options_.admit(*peer)) return;
    const uint64_t id = next_session_++;
    auto session = std::make_shared<ServerSession>(loop_, *peer, services_, options_,
                                                   [this, id] { sessions_.erase(id); });
    if (session->Open(std::move(socket)).ok()) sessions_[id] = std::move(session);
  }

  Loop& loop_;
  const std::string path_;
  Services services_;
  ServerOptions options_;
  kernel::UniqueFd listener_;
  Loop::WatchId watch_ = 0;
  Loop::TimerId pause_timer_ = 0;
  absl::Duration pause_ = kFirstPause;
  uint64_t next_session_ = 1;
  std::map<uint64_t, std::shared_ptr<ServerSession>> sessions_;
};

absl::StatusOr<std::unique_ptr<Server>> Server::Listen(Loop& loop, const std::string& path,
                                                       Services services, ServerOptions options) {
  ASSIGN_OR_RETURN(kernel::UniqueFd listener, ListenUnix(path, options.mode));
  if (options.owner && ::chown(path.c_str(), options.owner->first, options.owner->second) != 0) {
    return FromErrno(errno, "chown " + path);
  }
  auto core = std::make_shared<Core>(loop, path, std::move(services), std::move(options));
  absl::Status status;
  loop.RunAndWait([&] { status = core->Open(std::move(listener)); });
  RETURN_IF_ERROR(status);
  return std::unique_ptr<Server>(new Server(std::move(core)));
}

Server::~Server() {
  core_->loop().RunAndWait([core = core_.get()] { core->Close(); });
}

}  // namespace gantry::ttrpc
