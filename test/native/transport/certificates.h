// Certificates for the tests of TLS, made anew each time.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "transport/security/tls_session.h"

namespace verbex::transport {

// Authorities and certificates of the test, made by the openssl program.
class Certificates {
public:
    Certificates() {
        std::string name = (std::filesystem::temp_directory_path() / "verbex-tls-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) return;
        folder_ = name;
        std::ofstream(folder_ / "openssl.cnf") << "[req]\ndistinguished_name = name\n[name]\n"
                                                  "[authority]\nbasicConstraints = CA:TRUE\n"
                                                  "[node]\nbasicConstraints = CA:FALSE\n"
                                                  "subjectAltName = DNS:node.test,IP:127.0.0.1\n";
        complete_ = make("ours", "") && make("theirs", "") && make("node", "ours") &&
                    make("other", "ours") && make("stranger", "theirs");
    }
    ~Certificates() {
        if (!folder_.empty()) std::filesystem::remove_all(folder_);
    }

    [[nodiscard]] bool complete() const { return complete_; }
    [[nodiscard]] std::string file(const std::string& name) const {
        return (folder_ / name).string();
    }
    [[nodiscard]] TlsOptions options(const std::string& who,
                                     const std::string& authority = "ours") const {
        return {.certificateFile = file(who + ".pem"),
                .keyFile = file(who + ".key"),
                .authorityFile = file(authority + ".pem"),
                .serverName = "node.test"};
    }

private:
    bool make(const std::string& name, const std::string& authority) const {
        std::string command = "cd '" + folder_.string() +
                              "' && openssl req -config openssl.cnf -x509 -nodes -days 2 "
                              "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=" +
                              name + " -keyout " + name + ".key -out " + name + ".pem";
        command += authority.empty()
                       ? " -extensions authority"
                       : " -extensions node -CA " + authority + ".pem -CAkey " + authority + ".key";
        return std::system((command + " >log 2>&1").c_str()) == 0;
    }

    std::filesystem::path folder_;
    bool complete_ = false;
};

}  // namespace verbex::transport
