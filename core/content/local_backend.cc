// SPDX-License-Identifier: Apache-2.0
#include "core/content/local_backend.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "core/base/directory.h"
#include "core/base/kernel_status.h"
#include "core/content/ingest_dir.h"
#include "core/content/local_writer.h"
#include "core/kernel/file.h"
#include "core/kernel/unique_fd.h"
#include "core/log/log.h"

namespace gantry::content {
namespace {

class LocalReader final : public BlobReader {
 public:
  LocalReader(kernel::UniqueFd fd, int64_t size) : fd_(std::move(fd)), size_(size) {}

  int64_t size() const override { return size_; }

  absl::StatusOr<size_t> ReadAt(int64_t offset, std::span<char> buffer) override {
    size_t filled = 0;
    while (filled < buffer.size()) {
      const ssize_t count = ::pread(fd_.get(), buffer.data() + filled, buffer.size() - filled,
                                    offset + static_cast<int64_t>(filled));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return FromErrno(errno, "read blob");
      if (count == 0) break;
      filled += static_cast<size_t>(count);
    }
    return filled;
  }

 private:
  const kernel::UniqueFd fd_;
  const int64_t size_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<LocalBackend>> LocalBackend::Open(std::filesystem::path root,
                                                                 const base::Clock& clock) {
  constexpr mode_t kMode = 0755;
  RETURN_IF_ERROR(ToStatus(kernel::MakeDirectories((root / "ingest").string(), kMode)));
  RETURN_IF_ERROR(ToStatus(kernel::MakeDirectories((root / "blobs").string(), kMode)));
  // Folders of our own are on disk before anything in them is promised. Where that fails, what is
  // there can still be read.
  for (const std::filesystem::path& folder : {root, root.parent_path()}) {
    if (const auto synced = kernel::SyncDirectory(folder.string()); !synced)
      log::Warn("cannot flush a folder of the content store",
                {{"path", folder.string()}, {"error", ToStatus(synced.error())}});
  }
  RETURN_IF_ERROR(IngestDir::RemoveUnusable(root / "ingest"));
  return std::unique_ptr<LocalBackend>(new LocalBackend(std::move(root), clock));
}

absl::StatusOr<std::optional<int64_t>> LocalBackend::Size(const Context&, const Digest& digest) {
  struct stat attributes {};
  if (::stat(blobs_.Path(digest).c_str(), &attributes) == 0) return attributes.st_size;
  if (errno == ENOENT) return std::nullopt;
  return FromErrno(errno, fmt::format("stat blob {}", digest.str()));
}

absl::StatusOr<std::unique_ptr<BlobReader>> LocalBackend::Open(const Context&,
                                                               const Digest& digest) {
  auto fd = kernel::Open(blobs_.Path(digest).string(), O_RDONLY | O_CLOEXEC);
  if (!fd) {
    if (fd.error().err == ENOENT) return NotFound("content {}", digest.str());
    return ToStatus(fd.error());
  }
  struct stat attributes {};
  if (::fstat(fd->get(), &attributes) != 0)
    return FromErrno(errno, fmt::format("stat blob {}", digest.str()));
  return std::make_unique<LocalReader>(*std::move(fd), attributes.st_size);
}

absl::Status LocalBackend::Delete(const Context&, const Digest& digest) {
  if (::unlink(blobs_.Path(digest).c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return FromErrno(errno, fmt::format("delete blob {}", digest.str()));
}

absl::Status LocalBackend::ForEachBlob(const Context&,
                                       absl::FunctionRef<absl::Status(const Digest&)> visit) {
  const auto visit_blobs = [&](const std::filesystem::directory_entry& algorithm) -> absl::Status {
    std::error_code unknown;
    if (!algorithm.is_directory(unknown)) return absl::OkStatus();  // Not ours.
    return ForEachEntry(algorithm.path(), [&](const std::filesystem::directory_entry& blob) {
      const auto digest = Digest::Parse(algorithm.path().filename().string() + ":" +
                                        blob.path().filename().string());
      return digest.ok() ? visit(*digest) : absl::OkStatus();  // Other files are not ours.
    });
  };
  return ForEachEntry(root_ / "blobs", visit_blobs);
}

absl::Status LocalBackend::Sync(const Context&, const Digest& digest) {
  return blobs_.SyncBlob(digest);
}

absl::Status LocalBackend::SyncDeletes(const Context&) {
  for (const DigestAlgorithm algorithm :
       {DigestAlgorithm::kSha256, DigestAlgorithm::kSha384, DigestAlgorithm::kSha512}) {
    absl::Status synced = blobs_.SyncNames(algorithm);
    if (!synced.ok() && !absl::IsNotFound(synced)) return synced;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<BackendWriter>> LocalBackend::OpenWriter(const Context& ctx,
                                                                        const std::string& ref,
                                                                        int64_t total) {
  return LocalWriter::Open(ctx, {ingests(), blobs_, clock_, hashing_}, ref, total);
}

absl::StatusOr<std::optional<IngestStatus>> LocalBackend::Status(const Context&,
                                                                 const std::string& ref) {
  const IngestDir dir(ingests(), ref);
  ASSIGN_OR_RETURN(const auto description, dir.Read());
  struct stat attributes {};
  if (!description || description->ref != ref || ::stat(dir.data().c_str(), &attributes) != 0)
    return std::nullopt;
  return IngestStatus{.ref = ref,
                      .offset = attributes.st_size,
                      .total = description->total,
                      .started_at = description->started_at,
                      .updated_at = description->updated_at};
}

absl::Status LocalBackend::Abort(const Context&, const std::string& ref) {
  return IngestDir(ingests(), ref).Remove();
}

absl::Status LocalBackend::ForEachIngest(
    const Context&, absl::FunctionRef<absl::Status(const std::string&)> visit) {
  return ForEachEntry(ingests(),
                      [&](const std::filesystem::directory_entry& entry) -> absl::Status {
                        if (entry.path().filename().string().starts_with(IngestDir::kAsideMark))
                          return absl::OkStatus();
                        const auto read = IngestDir(entry.path()).Read();
                        if (!read.ok()) {
                          log::Warn("an ingest cannot be read for now",
                                    {{"path", entry.path().string()}, {"error", read.status()}});
                          return absl::OkStatus();
                        }
                        const auto& description = *read;
                        return description ? visit(description->ref) : absl::OkStatus();
                      });
}

}  // namespace gantry::content
