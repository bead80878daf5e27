// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace memdrift {

// Rows in blocks: growing copies nothing and touches no page that it does not fill. A process with
// 10,000 mappings is read in the time that a few hundred page faults take, so this shows.
template <typename Row>
class RowList {
 public:
  size_t size() const { return size_; }
  Row& operator[](size_t i) { return blocks_[i / kBlock][i % kBlock]; }
  const Row& operator[](size_t i) const { return blocks_[i / kBlock][i % kBlock]; }
  Row& back() { return (*this)[size_ - 1]; }

  // The new row is not initialized.
  Row& add() {
    if (size_ == blocks_.size() * kBlock)
      blocks_.push_back(std::make_unique_for_overwrite<Row[]>(kBlock));
    return (*this)[size_++];
  }

  // Both members move; the list that is left is empty.
  RowList() = default;
  RowList(RowList&& other) noexcept : blocks_(std::move(other.blocks_)), size_(other.size_) {
    other.size_ = 0;
  }
  RowList& operator=(RowList&& other) noexcept {
    std::swap(blocks_, other.blocks_);
    std::swap(size_, other.size_);
    return *this;
  }

 private:
  static constexpr size_t kBlock = 128;
  std::vector<std::unique_ptr<Row[]>> blocks_;
  size_t size_ = 0;
};

}  // namespace memdrift
