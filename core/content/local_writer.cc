// SPDX-License-Identifier: Apache-2.0
#include "core/content/local_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "core/base/kernel_status.h"
#include "core/content/hash_beside.h"
#include "core/kernel/file.h"
#include "core/log/log.h"

namespace gantry::content {
namespace {

constexpr size_t kCopyBytes = 1 << 20;
constexpr off_t kWritebackBytes = 8 << 20;
constexpr mode_t kNewFileMode = 0666;  // cut by the umask, as the blob's mode is
constexpr mode_t kWriteAndExecute = 0333;

}  // namespace

absl::StatusOr<std::unique_ptr<LocalWriter>> LocalWriter::Open(const Context& ctx, Place place,
                                                               const std::string& ref,
                                                               int64_t total) {
  const base::Clock& clock = place.clock;
  IngestDir dir(place.ingests, ref);
  auto writer =
      std::unique_ptr<LocalWriter>(new LocalWriter(ctx, std::move(place), std::move(dir)));
  ASSIGN_OR_RETURN(const auto found, writer->dir_.Read());
  const bool resume =
      found && found->ref == ref && (total <= 0 || found->total <= 0 || found->total == total);
  if (resume) {
    writer->description_ = *found;
  } else {
    writer->description_ = {
        .ref = ref, .started_at = clock.Now(), .updated_at = clock.Now(), .total = total};
    RETURN_IF_ERROR(writer->dir_.Create(writer->description_));
    writer->worth_keeping_ = true;
  }
  RETURN_IF_ERROR(writer->OpenData(resume ? 1 : 0));
  return writer;
}

absl::Status LocalWriter::OpenData(int64_t keep) {
  const int flags = O_RDWR | O_CREAT | O_CLOEXEC | (keep == 0 ? O_TRUNC : 0);
  auto fd = kernel::Open(dir_.data().string(), flags, kNewFileMode);
  if (!fd) return ToStatus(fd.error());
  data_ = *std::move(fd);
  if (keep == 0) return absl::OkStatus();
  RETURN_IF_ERROR(HashFile(ctx_, hasher_));
  if (::lseek(data_.get(), 0, SEEK_END) < 0) return FromErrno(errno, "seek ingest");
  return absl::OkStatus();
}

absl::Status LocalWriter::HashFile(const Context& ctx, Hasher& hasher) const {
  std::vector<char> buffer(kCopyBytes);
  for (off_t offset = 0;;) {
    RETURN_IF_ERROR(ctx.Check());
    const ssize_t count = ::pread(data_.get(), buffer.data(), buffer.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FromErrno(errno, "read ingest");
    if (count == 0) return absl::OkStatus();
    hasher.Update({buffer.data(), static_cast<size_t>(count)});
    offset += count;
  }
}

LocalWriter::~LocalWriter() {
  if (!worth_keeping_ || !data_) return;
  // Whoever goes on with it may rely on what was acknowledged, also after a power cut. A committed
  // ingest does not pay for this.
  if (const absl::Status kept = Keep(); !kept.ok()) {
    log::Warn("cannot flush ingest", {{"ref", description_.ref}, {"error", kept}});
  }
}

absl::Status LocalWriter::DropUnflushed(absl::Status failed) {
  // The kernel tells once of pages that it could not write, and takes them for written from then
  // on.
  failed.Update(Truncate());
  return failed;
}

absl::Status LocalWriter::Keep() {
  if (::fdatasync(data_.get()) != 0) return DropUnflushed(FromErrno(errno, "flush ingest"));
  absl::Status kept = dir_.Keep(description_.updated_at);
  kept.Update(ToStatus(kernel::SyncDirectory(place_.ingests.string())));
  return kept;
}

IngestStatus LocalWriter::status() const {
  return {.ref = description_.ref,
          .offset = static_cast<int64_t>(hasher_.size_bytes()),
          .total = description_.total,
          .started_at = description_.started_at,
          .updated_at = description_.updated_at};
}

absl::Status LocalWriter::Write(std::string_view bytes) {
  worth_keeping_ = true;
  const auto before = static_cast<off_t>(hasher_.size_bytes());
  const kernel::Result<void> written = [&] {
    const HashBeside hashing(place_.hashing, hasher_, bytes);
    return kernel::WriteAll(data_.get(), bytes, "ingest data");
  }();
  if (!written) {
    RETURN_IF_ERROR(CutBack(before));
    if (written.error().err == ENOSPC || written.error().err == EDQUOT) {
      return ResourceExhausted("{}", written.error().Text());
    }
    return Internal("{}", written.error().Text());
  }
  StartWriteback();
  description_.updated_at = place_.clock.Now();
  return absl::OkStatus();
}

absl::Status LocalWriter::CutBack(off_t size) {
  if (::ftruncate(data_.get(), size) != 0) return FromErrno(errno, "truncate ingest");
  if (::lseek(data_.get(), 0, SEEK_END) < 0) return FromErrno(errno, "seek ingest");
  hasher_ = Hasher();
  return HashFile({}, hasher_);
}

void LocalWriter::StartWriteback() {
  const off_t end = ::lseek(data_.get(), 0, SEEK_CUR);
  if (end - writeback_ < kWritebackBytes) return;
  // A hint: whether it worked shows when the data is flushed.
  ::sync_file_range(data_.get(), writeback_, end - writeback_, SYNC_FILE_RANGE_WRITE);
  writeback_ = end;
}

absl::Status LocalWriter::Truncate() {
  worth_keeping_ = true;
  if (::ftruncate(data_.get(), 0) != 0) return FromErrno(errno, "truncate ingest");
  if (::lseek(data_.get(), 0, SEEK_SET) < 0) return FromErrno(errno, "seek ingest");
  hasher_ = Hasher();
  writeback_ = 0;
  description_.updated_at = place_.clock.Now();
  return absl::OkStatus();
}

absl::StatusOr<Digest> LocalWriter::Flush(DigestAlgorithm algorithm) {
  if (::fdatasync(data_.get()) != 0) return DropUnflushed(FromErrno(errno, "flush ingest"));
  if (algorithm == DigestAlgorithm::kSha256) return hasher_.Current();
  Hasher other(algorithm);
  RETURN_IF_ERROR(HashFile(ctx_, other));
  return other.Current();
}

absl::Status LocalWriter::Publish(const Digest& digest) {
  RETURN_IF_ERROR(Rename(digest));
  worth_keeping_ = false;
  data_.Reset();
  return dir_.Remove();
}

absl::Status LocalWriter::Rename(const Digest& digest) {
  const std::filesystem::path blob = place_.blobs.Path(digest);
  struct stat own {};
  if (::fstat(data_.get(), &own) != 0) return FromErrno(errno, "stat ingest");
  struct stat other {};
  if (::stat(blob.c_str(), &other) == 0 && other.st_size == own.st_size) {
    // The same bytes by their digest, but maybe there since a moment only. One of another size is
    // damaged, and replaced.
    return place_.blobs.SyncBlob(digest);
  }
  if (::fchmod(data_.get(), own.st_mode & 07777 & ~kWriteAndExecute) != 0)
    return FromErrno(errno, "chmod blob");
  const struct timespec now = absl::ToTimespec(place_.clock.Now());
  const struct timespec times[2] = {now, now};
  if (::futimens(data_.get(), times) != 0) return FromErrno(errno, "set times of blob");
  RETURN_IF_ERROR(place_.blobs.Make(digest.algorithm()));
  if (::rename(dir_.data().c_str(), blob.c_str()) != 0) {
    return FromErrno(errno, fmt::format("rename to {}", blob.string()));
  }
  return place_.blobs.SyncNames(digest.algorithm());
}

}  // namespace gantry::content
