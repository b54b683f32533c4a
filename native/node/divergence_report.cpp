#include "node/divergence_report.h"

#include "node/host_facts.h"

namespace verbex::node {

namespace {

bool writeOnce(journal::Storage& storage, const std::string& data, const std::string& name,
               const std::string& text) {
    const std::string path = journal::joinPath(data, name);
    Result<std::unique_ptr<journal::File>> file =
        storage.create(path, journal::FileMode::Buffered);
    if (!file.isOk()) return false;  // it is there already, or the disk is what is broken
    const std::span<const char> letters(text.data(), text.size());
    return file.value()->pwrite(0, std::as_bytes(letters)).isOk() && file.value()->sync().isOk();
}

}  // namespace

uint32_t writeDivergenceReports(journal::Storage& storage, const std::string& data,
                                const replication::MemberStatus& status) {
    uint32_t written = 0;
    const auto report = [&](replication::MemberId odd, uint64_t position, const std::string& expected,
                            const std::string& found, const std::string& what) {
        const std::string text =
            "{\"member\":" + std::to_string(odd) + ",\"position\":" + std::to_string(position) +
            ",\"expected\":\"" + expected + "\",\"found\":\"" + found + "\",\"what\":\"" + what +
            "\",\"writtenBy\":" + std::to_string(status.id) +
            ",\"epoch\":" + std::to_string(status.configuration.epoch) +
            ",\"resultHash\":\"" + status.resultHash.hex() +
            "\",\"at\":" + std::to_string(status.position) + ",\"host\":" + hostFacts().json() + "}\n";
        const std::string name =
            "divergence-" + std::to_string(odd) + "-" + std::to_string(position) + ".json";
        if (writeOnce(storage, data, name, text)) written++;
    };
    for (const replication::Evicted& each : status.configuration.evicted) {
        report(each.id, each.position, each.expected.hex(), each.found.hex(),
               each.position == 0 ? "evicted by an operator" : "evicted by the vote");
    }
    if (status.role == replication::Role::Halted && !status.halted.empty() && !status.orphaned &&
        status.configuration.evictedMember(status.id) == nullptr) {
        report(status.id, status.released, "", status.resultHash.hex(), status.halted);
    }
    return written;
}

bool writeEdgeReport(journal::Storage& storage, const std::string& data, uint32_t edge,
                     const EdgeAudit::Difference& difference) {
    const std::string last = std::to_string(difference.last);
    const std::string text =
        "{\"edge\":" + std::to_string(edge) + ",\"position\":" + last +
        ",\"first\":" + std::to_string(difference.first) + ",\"expected\":\"" +
        difference.expected.hex() + "\",\"found\":\"" + difference.found.hex() +
        "\",\"what\":\"an edge makes something else of an entry than the members have voted\"," +
        "\"epoch\":" + std::to_string(difference.epoch) + ",\"host\":" + hostFacts().json() + "}\n";
    return writeOnce(storage, data, "divergence-edge-" + std::to_string(edge) + "-" + last + ".json", text);
}

}  // namespace verbex::node
