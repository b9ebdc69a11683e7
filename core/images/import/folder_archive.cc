// SPDX-License-Identifier: Apache-2.0
#include "core/images/import/folder_archive.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>
#include <vector>

#include "core/archive/tar_writer.h"
#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/file.h"
#include "core/kernel/unique_fd.h"

namespace gantry::images {
namespace {

class FolderArchive final : public Reader {
 public:
  FolderArchive(std::filesystem::path folder, std::vector<std::string> names)
      : folder_(std::move(folder)), names_(std::move(names)), tar_(ready_) {}

  absl::StatusOr<size_t> Read(std::span<char> buffer) override {
    while (at_ == ready_.text.size() && !ended_) RETURN_IF_ERROR(Fill());
    const size_t count = std::min(buffer.size(), ready_.text.size() - at_);
    std::copy_n(ready_.text.begin() + static_cast<std::ptrdiff_t>(at_), count, buffer.begin());
    at_ += count;
    return count;
  }

 private:
  struct Ready final : public Writer {
    absl::Status Write(std::string_view bytes) override {
      text.append(bytes);
      return absl::OkStatus();
    }
    std::string text;
  };

  absl::Status Fill() {
    ready_.text.clear();
    at_ = 0;
    if (left_ > 0) return ReadMore();
    if (next_ < names_.size()) return OpenNext();
    ended_ = true;
    return tar_.Finish();
  }

  absl::Status OpenNext() {
    const std::string& name = names_[next_++];
    const std::string path = (folder_ / name).string();
    ASSIGN_OR_RETURN(
        file_, ToStatusOr(kernel::Open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)));
    struct stat status = {};
    if (::fstat(file_.get(), &status) != 0) return FromErrno(errno, "stat " + path);
    if (!S_ISREG(status.st_mode)) return DataLoss("{}: not a regular file any more", path);
    left_ = static_cast<uint64_t>(status.st_size);
    return tar_.WriteHeader({.name = name, .mode = 0644, .size = left_});
  }

  absl::Status ReadMore() {
    const size_t wanted = std::min<uint64_t>(left_, piece_.size());
    const ssize_t count = ::read(file_.get(), piece_.data(), wanted);
    if (count < 0 && errno == EINTR) return absl::OkStatus();  // called again
    const std::string& name = names_[next_ - 1];
    if (count < 0) return FromErrno(errno, "read " + name);
    if (count == 0) return DataLoss("{}: ends {} bytes early", name, left_);
    left_ -= static_cast<uint64_t>(count);
    return tar_.WriteContent(std::string_view(piece_).substr(0, static_cast<size_t>(count)));
  }

  const std::filesystem::path folder_;
  const std::vector<std::string> names_;
  size_t next_ = 0;
  kernel::UniqueFd file_;
  uint64_t left_ = 0;  // bytes of the file
  std::string piece_ = std::string(size_t{1} << 18, '\0');
  Ready ready_;
  size_t at_ = 0;
  bool ended_ = false;
  archive::TarWriter tar_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Reader>> OpenFolderArchive(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto entry = std::filesystem::recursive_directory_iterator(folder, error);
       !error && entry != std::filesystem::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code ignored;  // what is gone again is no file
    if (entry->symlink_status(ignored).type() != std::filesystem::file_type::regular) continue;
    names.push_back(entry->path().lexically_relative(folder).string());
  }
  if (error) return FromErrno(error.value(), "read folder " + folder);
  std::ranges::sort(names);
  return std::make_unique<FolderArchive>(folder, std::move(names));
}

}  // namespace gantry::images
