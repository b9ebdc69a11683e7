// SPDX-License-Identifier: Apache-2.0
#include "services/tasks/checkpoint.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <vector>

#include "core/archive/apply.h"
#include "core/archive/compare.h"
#include "core/base/directory.h"
#include "core/base/kernel_status.h"
#include "core/base/stream.h"
#include "core/compression/compression.h"
#include "core/content/ingest_writer.h"
#include "core/diff/layer_source.h"
#include "core/kernel/file.h"
#include "core/kernel/tree.h"
#include "core/log/log.h"

namespace gantry::tasks {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBlockBytes = 256UL << 10;
constexpr std::string_view kDumpPrefix = "checkpoint-";

void RemoveDump(const fs::path& path) {
  const absl::Status removed = ToStatus(kernel::RemoveTree(path.string()));
  if (!removed.ok()) {
    log::Warn("cannot remove a checkpoint's files", {{"path", path.string()}, {"error", removed}});
  }
}

class FileStream final : public Reader {
 public:
  explicit FileStream(kernel::UniqueFd file) : file_(std::move(file)) {}
  absl::StatusOr<size_t> Read(std::span<char> buffer) override {
    while (true) {
      const ssize_t got = ::read(file_.get(), buffer.data(), buffer.size());
      if (got >= 0) return static_cast<size_t>(got);
      if (errno != EINTR) return FromErrno(errno, "read an archive");
    }
  }

 private:
  const kernel::UniqueFd file_;
};

// A stream in blocks, as the archive's reader wants it.
class Blocks final : public BlockReader {
 public:
  explicit Blocks(std::unique_ptr<Reader> source) : source_(std::move(source)) {}
  absl::StatusOr<std::string_view> NextBlock() override {
    ASSIGN_OR_RETURN(const size_t got, source_->Read(block_));
    return std::string_view(block_.data(), got);
  }

 private:
  const std::unique_ptr<Reader> source_;
  std::vector<char> block_ = std::vector<char>(kBlockBytes);
};

absl::Status Unpack(const Context& ctx, std::unique_ptr<Reader> source, const fs::path& into) {
  ASSIGN_OR_RETURN(const kernel::UniqueFd root,
                   ToStatusOr(kernel::Open(into.string(), O_RDONLY | O_DIRECTORY)));
  Blocks blocks(std::move(source));
  return archive::Apply(ctx, blocks, root.get(), {}).status();
}

// `write` fills a new ingest, which then becomes a blob.
absl::StatusOr<Descriptor> Store(const Context& ctx, content::ContentStore& store,
                                 std::string_view media_type, const std::string& ref,
                                 absl::FunctionRef<absl::Status(Writer&)> write) {
  ASSIGN_OR_RETURN(const std::unique_ptr<content::IngestWriter> writer,
                   store.OpenWriter(ctx, {.ref = ref}));
  // Something an earlier try left under the name.
  if (writer->offset() > 0) RETURN_IF_ERROR(writer->Truncate());
  RETURN_IF_ERROR(write(*writer));
  Descriptor stored{.media_type = std::string(media_type),
                    .digest = writer->Current().str(),
                    .size = writer->offset()};
  const absl::Status committed = writer->Commit(ctx, 0, "", {}).status();
  if (!committed.ok() && !absl::IsAlreadyExists(committed)) return committed;
  return stored;
}

}  // namespace

absl::StatusOr<ScopedDump> ScopedDump::Make(const fs::path& parent) {
  std::string pattern = (parent / (std::string(kDumpPrefix) + "XXXXXX")).string();
  if (::mkdtemp(pattern.data()) == nullptr) return FromErrno(errno, "make " + pattern);
  return ScopedDump(pattern);
}

ScopedDump::~ScopedDump() {
  if (!path_.empty()) RemoveDump(path_);
}

void RemoveLeftDumps(const fs::path& parent) {
  const absl::Status seen = ForEachEntry(parent, [](const fs::directory_entry& entry) {
    if (entry.path().filename().string().starts_with(kDumpPrefix)) RemoveDump(entry.path());
    return absl::OkStatus();
  });
  if (!seen.ok()) {
    log::Warn("cannot look for the files of checkpoints",
              {{"path", parent.string()}, {"error", seen}});
  }
}

absl::StatusOr<Descriptor> StoreDirectory(const Context& ctx, content::ContentStore& store,
                                          const fs::path& directory) {
  ASSIGN_OR_RETURN(const kernel::UniqueFd root,
                   ToStatusOr(kernel::Open(directory.string(), O_RDONLY | O_DIRECTORY)));
  return Store(ctx, store, kCheckpointMediaType, directory.string(), [&](Writer& writer) {
    return archive::WriteDiff(ctx, /*left=*/-1, root.get(), writer);
  });
}

absl::StatusOr<Descriptor> StoreBytes(const Context& ctx, content::ContentStore& store,
                                      std::string_view bytes, std::string_view media_type,
                                      const std::string& ref) {
  return Store(ctx, store, media_type, ref, [&](Writer& writer) { return writer.Write(bytes); });
}

absl::Status FetchCheckpoint(const Context& ctx, content::ContentStore& store,
                             const Descriptor& checkpoint, const fs::path& into) {
  if (checkpoint.media_type != kCheckpointMediaType) {
    return InvalidArgument("unsupported checkpoint type {:?}", checkpoint.media_type);
  }
  ASSIGN_OR_RETURN(std::unique_ptr<content::BlobReader> blob, store.Open(ctx, checkpoint.digest));
  return Unpack(ctx, std::make_unique<diff::BlobStream>(std::move(blob), nullptr), into);
}

absl::Status ApplyArchive(const Context& ctx, const fs::path& archive, const fs::path& rootfs) {
  ASSIGN_OR_RETURN(kernel::UniqueFd file,
                   ToStatusOr(kernel::Open(archive.string(), O_RDONLY | O_NOFOLLOW)));
  ASSIGN_OR_RETURN(compression::Decompressed plain,
                   compression::Decompress(std::make_unique<FileStream>(std::move(file))));
  return Unpack(ctx, std::move(plain.reader), rootfs);
}

}  // namespace gantry::tasks
