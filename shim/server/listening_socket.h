// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"

namespace gantry::shim {

// The longest path by which a unix socket can be reached.
inline constexpr size_t kMaxSocketPath = 106;

// A listening unix socket and its name in the file system, which goes with it unless somebody else
// has put another socket there meanwhile.
class [[nodiscard]] ListeningSocket {
 public:
  // A new one, with mode 0600 from its first moment, at a path where nothing is yet (EADDRINUSE).
  // The path may be too long for clients to connect to.
  static kernel::Result<ListeningSocket> Bind(const std::string& path);

  // An inherited one; ENOTSOCK or EINVAL when `fd` is none. The kernel is asked for its path,
  // unless it got another one since it was bound.
  static kernel::Result<ListeningSocket> Adopt(kernel::UniqueFd fd, std::string path = {});

  ListeningSocket(ListeningSocket&& other) noexcept
      : fd_(std::move(other.fd_)),
        path_(std::exchange(other.path_, {})),
        device_(other.device_),
        inode_(other.inode_) {}
  ListeningSocket& operator=(ListeningSocket&&) = delete;
  ~ListeningSocket() { Close(); }

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }  // empty: it has none, or none of ours

  // Gives it a second name, which must be free (EEXIST), and drops the first.
  kernel::Result<void> MoveTo(const std::string& path);
  // The same when another process has done it.
  void MovedTo(std::string path) { path_ = std::move(path); }

  // The name first, so that a successor may take it while connections are still refused here.
  // Idempotent.
  void Close();

  // Leaves the name to whoever else has the socket open.
  void Keep() && {
    path_.clear();
    fd_.Reset();
  }

 private:
  ListeningSocket(kernel::UniqueFd fd, std::string path);
  bool NameIsOurs() const;

  kernel::UniqueFd fd_;
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;  // 0: nothing was there
};

}  // namespace gantry::shim
