// SPDX-License-Identifier: Apache-2.0
#include "proxies/content/remote_writer.h"

#include <grpcpp/support/client_callback.h>

#include <utility>

#include "absl/time/clock.h"
#include "core/base/mutex.h"
#include "core/metadata/record.h"
#include "proxies/content/remote_backend.h"

namespace gantry::proxies {

namespace pb = ::containerd::services::content::v1;

namespace {

// Half of what a message may have.
constexpr size_t kPieceBytes = 8 << 20;

}  // namespace

// The write call. Its user waits for one answer at a time, no longer than the budget: a stream as a
// whole has no deadline, for nobody knows how long a client will write.
//
// Threads: the user's one at a time; gRPC's come in through the reactor, some on the user's own
//          thread while it starts a step, so none is started under the lock.
class WriteStream final
    : public grpc::ClientBidiReactor<pb::WriteContentRequest, pb::WriteContentResponse> {
 public:
  WriteStream(RemoteBackend& backend, const Context& ctx)
      : backend_(backend), scope_(call_, ctx, absl::InfiniteDuration(), backend.closing()) {
    backend_.stub().async()->Write(&call_, this);
    AddHold();  // Until End(): it may not be done while the user could start a step.
    StartCall();
  }

  ~WriteStream() override {
    call_.TryCancel();  // What was answered is kept over there.
    End();
  }

  absl::StatusOr<pb::WriteContentResponse> Exchange(pb::WriteContentRequest request) {
    ASSIGN_OR_RETURN(const RemoteBackend::Place place, backend_.TakePlace());
    if (ended_) return status_;
    request_ = std::move(request);
    {
      base::MutexLock lock(mutex_);
      pending_ = 2;
    }
    StartWrite(&request_);
    StartRead(&response_);
    const bool late = !WaitForBoth(absl::Now() + backend_.options().budget);
    {
      base::MutexLock lock(mutex_);
      if (answered_ && !late) return response_;
    }
    End();
    if (late) status_ = DeadlineExceeded("the content store does not answer");
    if (status_.ok()) status_ = Unavailable("the content store ended the write");
    return status_;
  }

 private:
  // False if that took longer; they are over then all the same, cancelled.
  bool WaitForBoth(absl::Time deadline) {
    {
      base::MutexLock lock(mutex_);
      while (pending_ > 0 && absl::Now() < deadline) changed_.WaitUntil(mutex_, deadline);
      if (pending_ == 0) return true;
    }
    call_.TryCancel();
    base::MutexLock lock(mutex_);
    while (pending_ > 0) changed_.Wait(mutex_);
    return false;
  }

  // Waits for the call to be over. Idempotent.
  void End() {
    if (std::exchange(ended_, true)) return;
    RemoveHold();
    base::MutexLock lock(mutex_);
    while (!done_) changed_.Wait(mutex_);
    status_ = final_;
  }

  void StepDone() {
    base::MutexLock lock(mutex_);
    --pending_;
    changed_.NotifyAll();
  }

  void OnWriteDone(bool) override { StepDone(); }
  void OnReadDone(bool ok) override {
    {
      base::MutexLock lock(mutex_);
      answered_ = ok;
    }
    StepDone();
  }
  void OnDone(const grpc::Status& status) override {
    // Notified under the lock: once it is free, this object may be gone.
    base::MutexLock lock(mutex_);
    final_ = FromGrpc(status);
    done_ = true;
    changed_.NotifyAll();
  }

  RemoteBackend& backend_;
  grpc::ClientContext call_;
  const CallScope scope_;
  pb::WriteContentRequest request_;
  pb::WriteContentResponse response_;
  bool ended_ = false;   // the user's: no step may be started
  absl::Status status_;  // the user's: what every later step gets
  base::Mutex mutex_;
  base::CondVar changed_;
  int pending_ ABSL_GUARDED_BY(mutex_) = 0;  // steps that are not over
  bool answered_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status final_ ABSL_GUARDED_BY(mutex_);
};

RemoteWriter::RemoteWriter(std::unique_ptr<WriteStream> stream, std::string ref)
    : stream_(std::move(stream)), ref_(std::move(ref)) {}

RemoteWriter::~RemoteWriter() = default;

absl::StatusOr<std::unique_ptr<RemoteWriter>> RemoteWriter::Open(RemoteBackend& backend,
                                                                 const Context& ctx,
                                                                 const std::string& ref,
                                                                 int64_t total) {
  RETURN_IF_ERROR(ctx.Check());
  auto writer = std::unique_ptr<RemoteWriter>(
      new RemoteWriter(std::make_unique<WriteStream>(backend, ctx), ref));
  pb::WriteContentRequest request;
  request.set_action(pb::STAT);
  request.set_ref(ref);
  request.set_total(total);
  RETURN_IF_ERROR(writer->Exchange(std::move(request)));
  return writer;
}

absl::Status RemoteWriter::Exchange(pb::WriteContentRequest request) {
  ASSIGN_OR_RETURN(const pb::WriteContentResponse response, stream_->Exchange(std::move(request)));
  status_.ref = ref_;
  status_.offset = response.offset();
  status_.updated_at = absl::Now();
  if (response.action() == pb::STAT) {
    status_.total = response.total();
    status_.started_at = metadata::FromProto(response.started_at());
    status_.updated_at = metadata::FromProto(response.updated_at());
  }
  if (!response.digest().empty()) {
    ASSIGN_OR_RETURN(digest_, Digest::Parse(response.digest()));
  }
  return absl::OkStatus();
}

absl::Status RemoteWriter::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kPieceBytes);
    bytes.remove_prefix(piece.size());
    const int64_t end = status_.offset + static_cast<int64_t>(piece.size());
    pb::WriteContentRequest request;
    request.set_action(pb::WRITE);
    request.set_offset(status_.offset);
    request.set_data(std::string(piece));
    RETURN_IF_ERROR(Exchange(std::move(request)));
    if (status_.offset != end) {
      return DataLoss("the content store has {} bytes of {:?} and should have {}", status_.offset,
                      ref_, end);
    }
  }
  return absl::OkStatus();
}

absl::Status RemoteWriter::Truncate() {
  if (status_.offset == 0) return absl::OkStatus();
  // A write at 0 throws away what is there.
  pb::WriteContentRequest request;
  request.set_action(pb::WRITE);
  RETURN_IF_ERROR(Exchange(std::move(request)));
  if (status_.offset == 0) return absl::OkStatus();
  return DataLoss("the content store has {} bytes of {:?} after truncation", status_.offset, ref_);
}

absl::StatusOr<Digest> RemoteWriter::Flush(DigestAlgorithm algorithm) {
  if (algorithm != DigestAlgorithm::kSha256) {
    return Unimplemented("proxied content cannot be committed by its {} digest",
                         DigestAlgorithmName(algorithm));
  }
  return digest_.empty() ? Digest::Of({}) : digest_;
}

absl::Status RemoteWriter::Publish(const Digest& digest) {
  pb::WriteContentRequest request;
  request.set_action(pb::COMMIT);
  request.set_offset(status_.offset);
  request.set_total(status_.offset);
  request.set_expected(digest.str());
  const absl::Status committed = Exchange(std::move(request));
  // The blob is there, whoever wrote it, and the ingest is gone.
  return absl::IsAlreadyExists(committed) ? absl::OkStatus() : committed;
}

}  // namespace gantry::proxies
