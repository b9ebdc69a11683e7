// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/client/content.h"

#include <algorithm>
#include <memory>
#include <span>

#include "core/base/status.h"

namespace gantry::gctr {
namespace {

namespace content = containerd::services::content::v1;

constexpr size_t kPieceBytes = size_t{1} << 20;

// One ingest: requests and their answers take turns.
class IngestStream {
 public:
  explicit IngestStream(const Client& client) : stub_(content::Content::NewStub(client.channel())) {
    client.Prepare(call_);
    stream_ = stub_->Write(&call_);
  }

  absl::StatusOr<content::WriteContentResponse> Exchange(
      const content::WriteContentRequest& request) {
    content::WriteContentResponse response;
    if (stream_->Write(request) && stream_->Read(&response)) return response;
    absl::Status status = FromGrpc(stream_->Finish());
    if (status.ok()) return Internal("content ingest {}: ended early", request.ref());
    return status;
  }

  void Close() {
    stream_->WritesDone();
    content::WriteContentResponse rest;
    while (stream_->Read(&rest)) {
    }
    stream_->Finish();  // what mattered was answered
  }

 private:
  grpc::ClientContext call_;
  std::unique_ptr<content::Content::Stub> stub_;
  std::unique_ptr<
      grpc::ClientReaderWriter<content::WriteContentRequest, content::WriteContentResponse>>
      stream_;
};

class BlobReader final : public Reader {
 public:
  BlobReader(const Client& client, const std::string& digest)
      : stub_(content::Content::NewStub(client.channel())) {
    client.Prepare(call_);
    content::ReadContentRequest request;
    request.set_digest(digest);
    stream_ = stub_->Read(&call_, request);
  }

  absl::StatusOr<size_t> Read(std::span<char> buffer) override {
    while (at_ == piece_.data().size()) {
      if (ended_) return 0;
      at_ = 0;
      if (stream_->Read(&piece_)) continue;
      ended_ = true;
      piece_.Clear();
      RETURN_IF_ERROR(FromGrpc(stream_->Finish()));
    }
    const size_t count = std::min(buffer.size(), piece_.data().size() - at_);
    std::copy_n(piece_.data().data() + at_, count, buffer.begin());
    at_ += count;
    return count;
  }

 private:
  grpc::ClientContext call_;
  std::unique_ptr<content::Content::Stub> stub_;
  std::unique_ptr<grpc::ClientReader<content::ReadContentResponse>> stream_;
  content::ReadContentResponse piece_;
  size_t at_ = 0;
  bool ended_ = false;
};

content::WriteContentRequest Request(content::WriteAction action, const BlobWrite& write) {
  content::WriteContentRequest request;
  request.set_action(action);
  request.set_ref(write.ref);
  request.set_total(write.size);
  request.set_expected(write.expected);
  return request;
}

absl::StatusOr<std::pair<Digest, int64_t>> Ingest(const Client& client, const BlobWrite& write,
                                                  Reader& source) {
  IngestStream stream(client);
  RETURN_IF_ERROR(stream.Exchange(Request(content::STAT, write)).status());
  Hasher hasher;
  std::string piece(kPieceBytes, '\0');
  int64_t offset = 0;
  while (true) {
    ASSIGN_OR_RETURN(const size_t count, source.Read(piece));
    // The first piece is sent even if empty: at offset 0 it truncates what an earlier try left.
    if (count == 0 && offset > 0) break;
    content::WriteContentRequest request = Request(content::WRITE, write);
    request.set_offset(offset);
    request.set_data(piece.data(), count);
    RETURN_IF_ERROR(stream.Exchange(request).status());
    hasher.Update(std::string_view(piece).substr(0, count));
    offset += static_cast<int64_t>(count);
    if (count == 0) break;
  }
  content::WriteContentRequest commit = Request(content::COMMIT, write);
  if (commit.expected().empty()) commit.set_expected(hasher.Current().str());
  commit.set_offset(offset);
  for (const auto& [key, value] : write.labels) (*commit.mutable_labels())[key] = value;
  const absl::StatusOr<content::WriteContentResponse> committed = stream.Exchange(commit);
  if (!committed.ok() && !absl::IsAlreadyExists(committed.status())) return committed.status();
  if (committed.ok()) stream.Close();
  return std::pair(hasher.Current(), offset);
}

}  // namespace

absl::Status ReadBlob(const Client& client, const std::string& digest,
                      absl::FunctionRef<absl::Status(std::string_view)> sink) {
  content::ReadContentRequest request;
  request.set_digest(digest);
  return Service<content::Content>(client).ForEach(
      &content::Content::Stub::Read, request,
      [&](const content::ReadContentResponse& piece) { return sink(piece.data()); });
}

std::unique_ptr<Reader> OpenBlob(const Client& client, const std::string& digest) {
  return std::make_unique<BlobReader>(client, digest);
}

absl::StatusOr<std::string> LoadBlob(const Client& client, const std::string& digest,
                                     size_t max_bytes) {
  std::string blob;
  RETURN_IF_ERROR(ReadBlob(client, digest, [&](std::string_view piece) -> absl::Status {
    if (blob.size() + piece.size() > max_bytes) {
      return ResourceExhausted("content {}: exceeds {} bytes", digest, max_bytes);
    }
    blob.append(piece);
    return absl::OkStatus();
  }));
  return blob;
}

absl::StatusOr<std::pair<Digest, int64_t>> StoreBlob(const Client& client, const BlobWrite& write,
                                                     Reader& source) {
  absl::StatusOr<std::pair<Digest, int64_t>> stored = Ingest(client, write, source);
  if (!absl::IsAlreadyExists(stored.status()) || write.expected.empty()) return stored;
  ASSIGN_OR_RETURN(Digest digest, Digest::Parse(write.expected));
  ASSIGN_OR_RETURN(const content::Info info, BlobInfo(client, write.expected));
  return std::pair(std::move(digest), info.size());
}

absl::StatusOr<content::Info> BlobInfo(const Client& client, const std::string& digest) {
  content::InfoRequest request;
  request.set_digest(digest);
  ASSIGN_OR_RETURN(const content::InfoResponse response,
                   Service<content::Content>(client).Call(&content::Content::Stub::Info, request));
  return response.info();
}

absl::StatusOr<content::Info> SetBlobLabels(
    const Client& client, const std::string& digest,
    const std::vector<std::pair<std::string, std::string>>& labels) {
  content::UpdateRequest request;
  request.mutable_info()->set_digest(digest);
  for (const auto& [key, value] : labels) {
    request.mutable_update_mask()->add_paths("labels." + key);
    if (!value.empty()) (*request.mutable_info()->mutable_labels())[key] = value;
  }
  ASSIGN_OR_RETURN(
      const content::UpdateResponse response,
      Service<content::Content>(client).Call(&content::Content::Stub::Update, request));
  return response.info();
}

}  // namespace gantry::gctr
