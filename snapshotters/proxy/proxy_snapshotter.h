// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "core/base/mutex.h"
#include "core/base/worker_pool.h"
#include "core/events/publisher.h"
#include "core/metadata/metadata.h"
#include "core/snapshots/snapshotter.h"
#include "snapshotters/proxy/admission.h"
#include "snapshotters/proxy/client.h"
#include "snapshotters/proxy/key_holds.h"
#include "snapshotters/proxy/records.h"
#include "snapshotters/proxy/settler.h"

namespace gantry::proxy {

// A snapshotter that another process serves over gRPC. Keys, parents, labels and leases are the
// daemon's, as with any snapshotter; the other process knows its own keys ("<ns>/<n>/<key>") and
// what they hold.
//
// It is never asked inside a transaction: an intent is recorded before, the outcome after, and what
// became of a step whose answer was lost is found out by the settler.
//
// Ownership: database and publisher are borrowed and outlive it. The destructor cancels what is
//            under way; the receivers are answered before it returns.
// Threads:   as Snapshotter says; answers come from a small pool of its own.
class ProxySnapshotter final : public snapshots::Snapshotter {
 public:
  struct Options {
    std::string address;  // path of a unix socket
    Budgets budgets = {};
    Settler::Options settling = {};
    absl::Duration patience = absl::Seconds(30);  // for earlier steps on the same key
    size_t max_calls = 512;                       // under way at once
    size_t max_unsettled = 1024;  // steps of unknown outcome; with more, no new ones are begun
  };

  // Never waits for the other process.
  static absl::StatusOr<std::unique_ptr<ProxySnapshotter>> Open(metadata::Metadata& metadata,
                                                                events::Publisher& publisher,
                                                                std::string name, Options options);
  ~ProxySnapshotter() override;

  const std::string& name() const override { return records_.snapshotter(); }
  bool remote() const override { return true; }
  void Stat(const Context& ctx, std::string key, snapshots::Done<snapshots::Info> done) override;
  void Update(const Context& ctx, snapshots::Info info, metadata::FieldMask mask,
              snapshots::Done<snapshots::Info> done) override;
  void GetUsage(const Context& ctx, std::string key,
                snapshots::Done<snapshots::Usage> done) override;
  void Mounts(const Context& ctx, std::string key, snapshots::Done<mount::Mounts> done) override;
  void Prepare(const Context& ctx, snapshots::PrepareRequest request,
               snapshots::Done<mount::Mounts> done) override;
  void View(const Context& ctx, snapshots::PrepareRequest request,
            snapshots::Done<mount::Mounts> done) override;
  void Commit(const Context& ctx, snapshots::CommitRequest request,
              snapshots::DoneStatus done) override;
  void Remove(const Context& ctx, std::string key, snapshots::DoneStatus done) override;
  void List(const Context& ctx, snapshots::ListRequest request,
            snapshots::Done<snapshots::ListPage> done) override;
  void Cleanup(const Context& ctx, snapshots::DoneStatus done) override;

  // Steps whose outcome is not known yet.
  size_t unsettled() const { return settler_.pending(); }

 private:
  // One call with its place and its receiver; kept alive by whatever it waits for.
  template <typename Done>
  struct Operation;
  template <typename Done>
  using Ptr = std::shared_ptr<Operation<Done>>;
  struct Creation;
  struct Commission;
  struct Listing;
  struct Sweep;
  struct SweepTurn;

  ProxySnapshotter(metadata::Metadata& metadata, events::Publisher& publisher, std::string name,
                   Options options);

  // Runs on the pool, or right here if that is full.
  void Post(absl::AnyInvocable<void()> work);
  // Lets the call in, waits for its keys, and calls `body(operation)`; answers if that fails.
  template <typename Done, typename Body>
  void Begin(const Context& ctx, std::vector<KeyHolds::Want> wants, Done done, Body body);
  // The common start of calls on one snapshot that is there: `body(operation, snapshot)`.
  template <typename Done, typename Body>
  void BeginOn(const Context& ctx, const std::string& key, Done done, Body body);
  absl::Status CheckRoom() const;

  void Create(const Context& ctx, snapshots::Kind kind, snapshots::PrepareRequest request,
              snapshots::Done<mount::Mounts> done);
  void AskToCreate(std::shared_ptr<Creation> creation);
  void FinishCreate(std::shared_ptr<Creation> creation, absl::StatusOr<mount::Mounts> made);
  void FinishRefused(std::shared_ptr<Creation> creation, const absl::Status& refusal);
  void Adopt(std::shared_ptr<Creation> creation);
  void FinishAdopt(std::shared_ptr<Creation> creation, absl::StatusOr<snapshots::Info> found);

  void AskToCommit(std::shared_ptr<Commission> commission);
  void FinishCommit(std::shared_ptr<Commission> commission, const absl::Status& committed);

  void ListOn(std::shared_ptr<Listing> listing);
  void FinishList(std::shared_ptr<Listing> listing);

  void StartSweep(std::vector<Ptr<snapshots::DoneStatus>> callers);
  void SweepNext(std::shared_ptr<Sweep> sweep);
  void SweepOne(std::shared_ptr<Sweep> sweep, const std::string& backend_key);
  void FinishOne(std::shared_ptr<Sweep> sweep, const std::string& backend_key,
                 const absl::Status& removed);
  void FinishSweep(std::shared_ptr<Sweep> sweep);
  void EndSweep(std::shared_ptr<Sweep> sweep);

  events::Publisher& publisher_;
  const Options options_;
  Records records_;
  base::WorkerPool pool_;
  Admission admission_;
  KeyHolds holds_;
  ProxyClient client_;
  Settler settler_;

  base::Mutex mutex_;
  bool sweeping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Ptr<snapshots::DoneStatus>> sweep_callers_ ABSL_GUARDED_BY(mutex_);  // of the next
  // Backend keys that are being removed, or about to be adopted: never both.
  std::set<std::string, std::less<>> busy_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace gantry::proxy
