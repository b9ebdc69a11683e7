// SPDX-License-Identifier: Apache-2.0
#include "services/content/service.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/content/content_store.h"
#include "core/content/plugin.h"
#include "core/gc/scheduler.h"
#include "proto/services/content/v1/content.grpc.pb.h"
#include "services/content/convert.h"
#include "services/content/write_session.h"
#include "services/rpc/convert.h"
#include "services/rpc/service.h"
#include "services/rpc/stream.h"
#include "services/rpc/unary.h"

namespace gantry::content {
namespace {

namespace pb = ::containerd::services::content::v1;
using google::protobuf::Empty;
using rpc::RunUnary;

constexpr size_t kListPage = 100;
constexpr int64_t kReadChunk = 1 << 20;

// Sends pages of up to 100 infos, none when nothing matches.
class ListCursor {
 public:
  ListCursor(ContentStore& store, const pb::ListContentRequest& request)
      : store_(store), filter_(filters::Parse(request.filters())) {}

  absl::StatusOr<bool> Next(const Context& ctx, pb::ListContentResponse& message) {
    RETURN_IF_ERROR(filter_.status());
    while (!done_ && message.info_size() < static_cast<int>(kListPage)) {
      // Just enough to fill the message: what does not match is read past.
      const size_t want = kListPage - static_cast<size_t>(message.info_size());
      ASSIGN_OR_RETURN(const std::vector<Info> page, store_.List(ctx, after_, want));
      done_ = page.size() < want;
      if (!page.empty()) after_ = page.back().digest.str();
      for (const Info& info : page) {
        if (Matches(*filter_, info)) ToProto(info, message.add_info());
      }
    }
    return message.info_size() > 0;
  }

 private:
  ContentStore& store_;
  const absl::StatusOr<filters::Filter> filter_;
  std::string after_;
  bool done_ = false;
};

// Sends a range of a blob in chunks; their offsets count from the start of the range.
class ReadCursor {
 public:
  ReadCursor(ContentStore& store, const pb::ReadContentRequest& request)
      : store_(store),
        digest_(request.digest()),
        start_(std::max<int64_t>(request.offset(), 0)),
        size_(request.size()) {}

  absl::StatusOr<bool> Next(const Context& ctx, pb::ReadContentResponse& message) {
    if (reader_ == nullptr) RETURN_IF_ERROR(Open(ctx));
    const int64_t left = size_ - sent_;
    if (left <= 0) return false;
    std::string& data = *message.mutable_data();
    data.resize(static_cast<size_t>(std::min(left, kReadChunk)));
    ASSIGN_OR_RETURN(const size_t count, reader_->ReadAt(start_ + sent_, data));
    if (count == 0) return DataLoss("content {} is shorter than its size", digest_);
    data.resize(count);
    message.set_offset(sent_);
    sent_ += static_cast<int64_t>(count);
    return true;
  }

 private:
  absl::Status Open(const Context& ctx) {
    ASSIGN_OR_RETURN(reader_, store_.Open(ctx, digest_));
    if (start_ > reader_->size()) {
      return OutOfRange("read past object length {} of content {}", reader_->size(), digest_);
    }
    const int64_t rest = reader_->size() - start_;
    size_ = size_ <= 0 ? rest : std::min(size_, rest);
    return absl::OkStatus();
  }

  ContentStore& store_;
  const std::string digest_;
  const int64_t start_;
  int64_t size_;
  int64_t sent_ = 0;
  std::unique_ptr<BlobReader> reader_;
};

class ContentService final : public rpc::Service, public pb::Content::CallbackService {
 public:
  ContentService(ContentStore& store, base::WorkerPool& workers)
      : store_(store), workers_(workers) {}

  grpc::Service& grpc() override { return *this; }

  grpc::ServerUnaryReactor* Info(grpc::CallbackServerContext* call, const pb::InfoRequest* request,
                                 pb::InfoResponse* response) override {
    return RunUnary(call, workers_, response,
                    [this, request](const Context& ctx) -> absl::StatusOr<pb::InfoResponse> {
                      ASSIGN_OR_RETURN(const content::Info info,
                                       store_.Get(ctx, request->digest()));
                      pb::InfoResponse found;
                      ToProto(info, found.mutable_info());
                      return found;
                    });
  }

  grpc::ServerUnaryReactor* Update(grpc::CallbackServerContext* call,
                                   const pb::UpdateRequest* request,
                                   pb::UpdateResponse* response) override {
    return RunUnary(call, workers_, response,
                    [this, request](const Context& ctx) -> absl::StatusOr<pb::UpdateResponse> {
                      if (!request->has_info())
                        return InvalidArgument("info is missing in the request");
                      ASSIGN_OR_RETURN(const content::Info info,
                                       store_.Update(ctx, request->info().digest(),
                                                     rpc::FromProto(request->info().labels()),
                                                     rpc::FromProto(request->update_mask())));
                      pb::UpdateResponse updated;
                      ToProto(info, updated.mutable_info());
                      return updated;
                    });
  }

  grpc::ServerWriteReactor<pb::ListContentResponse>* List(
      grpc::CallbackServerContext* call, const pb::ListContentRequest* request) override {
    auto cursor = std::make_unique<ListCursor>(store_, *request);
    return rpc::RunStream<pb::ListContentResponse>(
        call, workers_,
        [cursor = std::move(cursor)](const Context& ctx, pb::ListContentResponse& message) {
          return cursor->Next(ctx, message);
        });
  }

  grpc::ServerUnaryReactor* Delete(grpc::CallbackServerContext* call,
                                   const pb::DeleteContentRequest* request,
                                   Empty* response) override {
    return RunUnary(call, workers_, response, [this, request](const Context& ctx) {
      return store_.Delete(ctx, request->digest());
    });
  }

  grpc::ServerWriteReactor<pb::ReadContentResponse>* Read(
      grpc::CallbackServerContext* call, const pb::ReadContentRequest* request) override {
    auto cursor = std::make_unique<ReadCursor>(store_, *request);
    return rpc::RunStream<pb::ReadContentResponse>(
        call, workers_,
        [cursor = std::move(cursor)](const Context& ctx, pb::ReadContentResponse& message) {
          return cursor->Next(ctx, message);
        });
  }

  grpc::ServerUnaryReactor* Status(grpc::CallbackServerContext* call,
                                   const pb::StatusRequest* request,
                                   pb::StatusResponse* response) override {
    return RunUnary(call, workers_, response,
                    [this, request](const Context& ctx) -> absl::StatusOr<pb::StatusResponse> {
                      ASSIGN_OR_RETURN(const IngestStatus status,
                                       store_.Status(ctx, request->ref()));
                      pb::StatusResponse found;
                      ToProto(status, found.mutable_status());
                      return found;
                    });
  }

  grpc::ServerUnaryReactor* ListStatuses(grpc::CallbackServerContext* call,
                                         const pb::ListStatusesRequest* request,
                                         pb::ListStatusesResponse* response) override {
    return RunUnary(
        call, workers_, response,
        [this, request](const Context& ctx) -> absl::StatusOr<pb::ListStatusesResponse> {
          ASSIGN_OR_RETURN(const filters::Filter filter, filters::Parse(request->filters()));
          ASSIGN_OR_RETURN(const std::vector<IngestStatus> all, store_.ListStatuses(ctx));
          pb::ListStatusesResponse list;
          for (const IngestStatus& status : all) {
            if (Matches(filter, status)) ToProto(status, list.add_statuses());
          }
          return list;
        });
  }

  grpc::ServerBidiReactor<pb::WriteContentRequest, pb::WriteContentResponse>* Write(
      grpc::CallbackServerContext* call) override {
    return rpc::RunExchange<pb::WriteContentRequest, pb::WriteContentResponse>(
        call, workers_, ends_, std::make_unique<WriteSession>(store_));
  }

  grpc::ServerUnaryReactor* Abort(grpc::CallbackServerContext* call,
                                  const pb::AbortRequest* request, Empty* response) override {
    return RunUnary(call, workers_, response, [this, request](const Context& ctx) {
      return store_.Abort(ctx, request->ref());
    });
  }

 private:
  ContentStore& store_;
  base::WorkerPool& workers_;
  // A writer that goes flushes its ingest, however busy the workers are. One entry at most for each
  // stream, so the streams are its bound.
  base::WorkerPool ends_{"content-ends", 1, SIZE_MAX};
};

}  // namespace

plugin::Registration ServicePlugin(base::WorkerPool& workers) {
  return plugin::Provide(
      rpc::kService,
      plugin::Spec<rpc::Service>{
          .id = "content",
          .needs = {kContentService.uri},
          .init = [&workers](
                      plugin::InitContext& init) -> absl::StatusOr<std::unique_ptr<rpc::Service>> {
            ASSIGN_OR_RETURN(ContentStore * store, init.Get(kContentService, "content-service"));
            return std::make_unique<ContentService>(*store, workers);
          }});
}

}  // namespace gantry::content
