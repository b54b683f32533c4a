// A workload as a file, so that engines in other languages run the very same flow; and the trades that came of it.
//
// Purpose: layouts that bench/peers/README.md documents byte for byte and bench/peers/flow.mjs, Flow.java and flow.rs read.
//   header 64 bytes │ prefill records, 32 bytes each │ step records, 32 bytes each
// Owner: peer_bench. Thread safety: none.
// Invariants: all numbers are little-endian; orders are numbered 0, 1, 2 … in the order of their making.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "workload.h"

namespace verbex::bench {

static_assert(std::endian::native == std::endian::little,
              "structs are written as they lie in memory");

struct WorkloadHeader {
    static constexpr char kMagic[8] = {'V', 'B', 'X', 'F', 'L', 'O', 'W', '1'};
    char magic[8];
    char name[8];  // padded with zeros
    uint32_t recordBytes;
    uint32_t symbols;
    uint32_t accounts;  // numbered from 1
    uint32_t orders;
    uint32_t prefill;  // records
    uint32_t steps;    // records
    int64_t priceMin;
    int64_t priceMax;
    uint64_t seed;
};
static_assert(sizeof(WorkloadHeader) == 64);
static_assert(offsetof(WorkloadHeader, recordBytes) == 16);
static_assert(offsetof(WorkloadHeader, priceMin) == 40);

struct WorkloadRecord {
    uint8_t op;    // StepKind: 0 new (GTC), 1 IOC, 2 FOK, 3 cancel, 4 move, 5 reduce
    uint8_t side;  // 0 buy, 1 sell
    uint16_t none;
    uint32_t symbol;  // from 0
    uint32_t order;
    uint32_t account;
    int64_t price;     // the limit; move: the new one
    int64_t quantity;  // of the order; move: what is open; reduce: by how much
};
static_assert(sizeof(WorkloadRecord) == 32);
static_assert(offsetof(WorkloadRecord, order) == 8);
static_assert(offsetof(WorkloadRecord, price) == 16);

struct TradeRecord {
    uint32_t taker;  // number of the order
    uint32_t maker;
    int64_t price;
    int64_t quantity;
};
static_assert(sizeof(TradeRecord) == 24);

struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

inline WorkloadRecord recordOf(const Step& step) {
    WorkloadRecord record{};
    record.op = static_cast<uint8_t>(step.kind);
    record.side = step.sell ? 1 : 0;
    record.symbol = step.symbol;
    record.order = step.order;
    record.account = step.account;
    record.price = step.price;
    record.quantity = step.quantity;
    return record;
}

inline Step stepOf(const WorkloadRecord& record) {
    Step step{};
    step.kind = static_cast<StepKind>(record.op);
    step.sell = record.side != 0;
    step.symbol = static_cast<decltype(step.symbol)>(record.symbol);
    step.order = record.order;
    step.account = record.account;
    step.price = static_cast<int32_t>(record.price);
    step.quantity = static_cast<int32_t>(record.quantity);
    return step;
}

// False: it could not be written in full.
[[nodiscard]] inline bool writeWorkload(const std::string& path, const Workload& work,
                                        uint64_t seed) {
    const File file(std::fopen(path.c_str(), "wb"));
    if (!file) return false;
    WorkloadHeader header{};
    std::memcpy(header.magic, WorkloadHeader::kMagic, sizeof header.magic);
    std::memcpy(header.name, work.name, std::min(std::strlen(work.name), sizeof header.name));
    header.recordBytes = sizeof(WorkloadRecord);
    header.symbols = work.symbols;
    header.accounts = work.accounts;
    header.orders = work.orders;
    header.prefill = static_cast<uint32_t>(work.prefill.size());
    header.steps = static_cast<uint32_t>(work.steps.size());
    header.priceMin = work.priceMin;
    header.priceMax = work.priceMax;
    header.seed = seed;
    bool whole = std::fwrite(&header, sizeof header, 1, file.get()) == 1;
    for (const auto* steps : {&work.prefill, &work.steps}) {
        for (const Step& step : *steps) {
            const WorkloadRecord record = recordOf(step);
            whole = whole && std::fwrite(&record, sizeof record, 1, file.get()) == 1;
        }
    }
    return std::fflush(file.get()) == 0 && whole;
}

// False: not a workload, or cut short. `name` keeps the workload's name, which `work` points to.
[[nodiscard]] inline bool readWorkload(const std::string& path, Workload& work, std::string& name) {
    const File file(std::fopen(path.c_str(), "rb"));
    if (!file) return false;
    WorkloadHeader header{};
    if (std::fread(&header, sizeof header, 1, file.get()) != 1) return false;
    if (std::memcmp(header.magic, WorkloadHeader::kMagic, sizeof header.magic) != 0) return false;
    if (header.recordBytes != sizeof(WorkloadRecord)) return false;
    name.assign(header.name, strnlen(header.name, sizeof header.name));
    work = Workload{name.c_str(),
                    header.symbols,
                    header.accounts,
                    header.orders,
                    header.priceMin,
                    header.priceMax,
                    {},
                    {}};
    const auto fill = [&](std::vector<Step>& steps, uint32_t count) {
        steps.reserve(count);
        for (WorkloadRecord record{}; steps.size() < count; steps.push_back(stepOf(record))) {
            if (std::fread(&record, sizeof record, 1, file.get()) != 1) return false;
        }
        return true;
    };
    return fill(work.prefill, header.prefill) && fill(work.steps, header.steps);
}

}  // namespace verbex::bench
