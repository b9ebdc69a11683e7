// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "core/kernel/unique_fd.h"
#include "core/ttrpc/loop.h"
#include "core/wire/output_queue.h"

namespace gantry::ttrpc {

// A non-blocking stream socket in a loop: hands on what arrives, writes what is queued.
//
// Stops reading while more than `max_output_bytes` wait to be written: a peer that asks without
// reading answers is not listened to, and our memory stays bounded.
// Threads: the loop's alone.
class Channel {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // Held while the channel runs, for its callbacks may let go of the owner and so of the channel.
    virtual std::shared_ptr<const void> KeepAlive() const = 0;
    // The owner may close the channel here.
    virtual void OnBytes(std::string_view bytes) = 0;
    // The peer is gone, whatever way; the channel is closed already. Called once, not after
    // Close().
    virtual void OnLost() = 0;
  };

  Channel(Loop& loop, Owner& owner, wire::OutputQueue& output, size_t max_output_bytes)
      : loop_(loop), owner_(owner), output_(output), max_output_bytes_(max_output_bytes) {}
  ~Channel() { Close(); }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Takes a socket, which may still be connecting.
  absl::Status Open(kernel::UniqueFd socket);
  void Close();
  bool open() const { return static_cast<bool>(socket_); }

  // Writes what is queued, now or when the peer reads. May end in OnLost().
  void Flush();

 private:
  void OnEvents(uint32_t events);
  void Read();
  bool Write();
  void UpdateEvents();
  void Lose();

  Loop& loop_;
  Owner& owner_;
  wire::OutputQueue& output_;
  const size_t max_output_bytes_;
  kernel::UniqueFd socket_;
  Loop::WatchId watch_ = 0;
  uint32_t events_ = 0;
};

}  // namespace gantry::ttrpc
