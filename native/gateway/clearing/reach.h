// Reach: which sessions an account's business concerns.
//
// Purpose: from an account to the sessions whose users' subtree it lies in, by a walk up the tree, at most four
// steps, however many sessions there are.
// Owner: the clearing gateway.
// Thread safety: none.
// Invariants: a session has at most one root, so a walk meets it at most once.
// Requires: the directory knows every account that is asked for.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "gateway/directory.h"

namespace verbex::gateway::clearing {

class Reach {
public:
    explicit Reach(const Directory& directory) : directory_(directory) {}

    void clear() { roots_.clear(); }
    void add(AccountId root, uint32_t session) { roots_[root].push_back(session); }

    // visit(session) for every session whose subtree the account lies in.
    template <typename Visit>
    void each(AccountId account, Visit visit) const {
        for (AccountId at = account;; at = directory_.parent(at)) {
            const auto found = roots_.find(at);
            if (found != roots_.end()) {
                for (const uint32_t session : found->second) visit(session);
            }
            if (at == 0) return;
        }
    }
    [[nodiscard]] bool any(AccountId account) const {
        bool found = false;
        each(account, [&found](uint32_t) { found = true; });
        return found;
    }

private:
    const Directory& directory_;
    std::unordered_map<AccountId, std::vector<uint32_t>> roots_;
};

}  // namespace verbex::gateway::clearing
