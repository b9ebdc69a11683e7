// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/process/fifo_set.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/file.h"

namespace gantry::gctr {
namespace {

constexpr mode_t kFifoMode = 0700;

bool IsFifo(const std::string& path) {
  struct stat status = {};
  return !path.empty() && ::lstat(path.c_str(), &status) == 0 && S_ISFIFO(status.st_mode);
}

absl::Status MakeFifo(const std::string& path) {
  if (::mkfifo(path.c_str(), kFifoMode) != 0) return FromErrno(errno, "mkfifo " + path);
  return absl::OkStatus();
}

absl::StatusOr<kernel::UniqueFd> OpenReader(const std::string& path) {
  if (!IsFifo(path)) return kernel::UniqueFd();
  return ToStatusOr(kernel::Open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
}

}  // namespace

absl::StatusOr<FifoSet> FifoSet::Make(const std::string& root, const std::string& id,
                                      bool terminal) {
  RETURN_IF_ERROR(ToStatus(kernel::MakeDirectories(root, 0700)));
  std::string pattern = root + "/XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) return FromErrno(errno, "mkdtemp " + pattern);
  FifoSet fifos;
  fifos.directory_ = pattern;
  const std::string stem = pattern + "/" + id;
  fifos.in_ = stem + "-stdin";
  fifos.out_ = stem + "-stdout";
  RETURN_IF_ERROR(MakeFifo(fifos.in_));
  RETURN_IF_ERROR(MakeFifo(fifos.out_));
  if (!terminal) {
    fifos.err_ = stem + "-stderr";
    RETURN_IF_ERROR(MakeFifo(fifos.err_));
  }
  ASSIGN_OR_RETURN(fifos.held_in_,
                   ToStatusOr(kernel::Open(fifos.in_, O_RDWR | O_NONBLOCK | O_CLOEXEC)));
  RETURN_IF_ERROR(fifos.OpenReaders());
  return fifos;
}

absl::StatusOr<FifoSet> FifoSet::Attach(std::string in, std::string out, std::string err) {
  FifoSet fifos;
  fifos.in_ = std::move(in);
  fifos.out_ = std::move(out);
  fifos.err_ = std::move(err);
  RETURN_IF_ERROR(fifos.OpenReaders());
  return fifos;
}

absl::Status FifoSet::OpenReaders() {
  ASSIGN_OR_RETURN(out_fd_, OpenReader(out_));
  ASSIGN_OR_RETURN(err_fd_, OpenReader(err_));
  return absl::OkStatus();
}

kernel::UniqueFd FifoSet::OpenIn() {
  kernel::UniqueFd end;
  if (IsFifo(in_)) {
    // ENXIO: nobody reads.
    auto opened = kernel::Open(in_, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (opened.ok()) end = *std::move(opened);
  }
  held_in_.Reset();
  return end;
}

FifoSet::~FifoSet() {
  if (!directory_.empty()) RemoveFifos(in_, out_, err_);
}

void RemoveFifos(const std::string& in, const std::string& out, const std::string& err) {
  std::set<std::string> directories;
  for (const std::string* path : {&in, &out, &err}) {
    if (!IsFifo(*path)) continue;
    ::unlink(path->c_str());
    directories.insert(std::filesystem::path(*path).parent_path());
  }
  for (const std::string& directory : directories) ::rmdir(directory.c_str());
}

}  // namespace gantry::gctr
