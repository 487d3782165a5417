//! Bad files and the exact words that their authors get.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a surprise ends the test")]

use config::{EdgeConfig, Mistakes, Place, parse};
use proptest::prelude::*;

fn check(text: &str) -> Result<EdgeConfig, Mistakes> {
    parse("edge.toml", text, [])
}

/// Holds what `validate` prints for a file against the lines expected, each without its `edge.toml:`.
fn expect(text: &str, lines: &[&str]) {
    let mistakes = check(text).unwrap_err().to_string();
    let printed: Vec<&str> = mistakes.lines().map(|line| line.strip_prefix("edge.toml:").unwrap()).collect();
    assert_eq!(printed, lines, "for:\n{text}");
}

/// A file whose only flaw is what follows a good `[ask]`.
fn beside_a_good_ask(text: &str) -> String {
    format!("ask.url = 'http://127.0.0.1:1/ask'\n{text}")
}

#[test]
fn every_mistake_of_a_file_with_fourteen_is_reported_in_one_run() {
    let text = r#"
[listen]
http = ["localhost:80"]
https = ["0.0.0.0:443", ":443", "0.0.0.0:443"]
admin = "127.0.0.1"

[ask]
ulr = "http://127.0.0.1:8080/internal/ask"
timeout = 1

[acme]
contact = ["ops@saas.example"]
directory = ["http://ca.example/directory"]
issuer = "acmee"

[proxy]
default_origin = "http://u:hunter2@app:3000/path"
trusted_proxies = ["10.0.0.1/8"]

[limits]
hello_timeout = "5h"
conections = 5

[logs]
level = "inof"
"#;
    expect(
        text,
        &[
            r#"3:9: listen.http: `localhost:80` is not an IP address with a port; write an address such as "0.0.0.0:443", "[::1]:443" or ":443""#,
            "4:33: listen.https: 0.0.0.0:443 is listed twice, the first time in listen.https; remove one of the two or choose another port",
            r#"5:9: listen.admin: `127.0.0.1` is not an IP address with a port; add a port, as in "127.0.0.1:443""#,
            r#"7:2: ask.url: is required; add url = "http://…" under [ask]; without it every unknown name is refused"#,
            "8:1: ask.ulr: unknown key; did you mean `url`?",
            r#"9:11: ask.timeout: must be a duration, not an integer; write a string such as "500ms", "5s", "1m", "2h" or "7d""#,
            r#"12:12: acme.contact: `ops@saas.example` is not one mailto: address; write "mailto:ops@saas.example""#,
            "13:14: acme.directory: must be an https URL; write https:// (RFC 8555 section 6.1)",
            r#"14:10: acme.issuer: `acmee` is not a choice; did you mean "acme"?"#,
            "17:18: proxy.default_origin: holds credentials; remove `user:password@`; such a secret would end in logs",
            r#"18:20: proxy.trusted_proxies: `10.0.0.1/8` has address bits behind its prefix; write "10.0.0.0/8" for the network or "10.0.0.1" for the host"#,
            "21:17: limits.hello_timeout: 5h is out of range; choose a value from 100ms to 1m",
            "22:1: limits.conections: unknown key; did you mean `connections`?",
            "24:2: logs: unknown table; did you mean [log]?",
        ],
    );
}

#[test]
fn broken_syntax_is_told_line_by_line_and_hides_no_other_mistake() {
    let text = r#"[ask]
url = http://127.0.0.1/ask
timeout = "1s"
timeout = "2s"
[acme
contact = []
[storage]
path = "/x
[limits]
threads = [1 2]
connections
h2_streams = 0
origin pool
upgrade_wait

[acme]
contct = 1
"#;
    expect(
        text,
        &[
            "2:7: ask.url: string values must be quoted, expected literal string; put the value in double quotes",
            "4:1: ask.timeout: duplicate key; keep one of the two",
            "5:6: unclosed table, expected `]`; close the header with `]`",
            r#"8:11: storage.path: invalid basic string, expected `"`; close the string with a double quote on the same line"#,
            "10:12: limits.threads: string values must be quoted, expected literal string; put the value in double quotes",
            "11:12: key with no value, expected `=`; write `key = value` on one line",
            "12:14: limits.h2_streams: 0 is out of range; choose a value from 1 to 10000",
            "13:8: key with no value, expected `=`; write `key = value` on one line",
            "14:13: key with no value, expected `=`; write `key = value` on one line",
            "17:1: acme.contct: unknown key; did you mean `contact`?",
        ],
    );
}

#[test]
fn a_value_of_another_kind_is_told_which_kind_to_write() {
    let text = r#"
url = "http://a/"
colour = "blue"
ask = "http://a/"
[[acme]]
contact = []
[storage]
path = 3
[proxy]
allow_private_origins = "yes"
trusted_proxies = "10.0.0.0/8"
default_origin = 2020-01-01
[limits]
threads = 99999999999999999999999999999999999999999
connections = -1
h2_streams = 1.5
ask_cache = true
access_log_queue = "many"
request_header_bytes = "64KB"
order_timeout = "1 minute"
hello_timeout = 5
[log]
level = "inof"
access = "xml"
connections = 7
"#;
    expect(
        text,
        &[
            "2:1: url: unknown key; `url` belongs under [ask]",
            "3:1: colour: unknown key; every key belongs under one of the tables listen, ask, control, acme, acme.dns, acme.limits, acme.preflight, storage, proxy, limits, log",
            "4:1: ask: must be a table, not a value; write the header [ask] on a line of its own and its keys below",
            "5:3: acme: must be one table, not a list of tables; write its header once, with single brackets: [acme]",
            "8:8: storage.path: must be a string, not an integer; put it in double quotes",
            "10:25: proxy.allow_private_origins: must be true or false, not a string; write true or false without quotes",
            r#"11:19: proxy.trusted_proxies: must be a list, not a string; put it in brackets: ["…"]"#,
            "12:18: proxy.default_origin: must be a string, not a date; put it in double quotes",
            "14:11: limits.threads: must be an integer, not a number of so many digits; write a whole number without quotes",
            "15:15: limits.connections: is negative; write a positive count",
            "16:14: limits.h2_streams: must be an integer, not a fraction; write a whole number without quotes",
            r#"17:13: limits.ask_cache: must be a size, not a boolean; write a string such as "64KiB" or "128MiB", or a number of bytes"#,
            "18:20: limits.access_log_queue: must be an integer, not a string; write a whole number without quotes",
            r#"19:24: limits.request_header_bytes: `64KB` is not a size; write a whole number and a unit (B, KiB, MiB, GiB), as in "64KiB", or a number of bytes"#,
            r#"20:17: limits.order_timeout: `1 minute` is not a duration; write a whole number and a unit (ms, s, m, h, d), as in "5s""#,
            r#"21:17: limits.hello_timeout: must be a duration, not an integer; write a string such as "500ms", "5s", "1m", "2h" or "7d""#,
            "23:9: log.level: `inof` is not a log level; did you mean `info`?",
            r#"24:10: log.access: `xml` is not a choice; choose "json" or "off""#,
            "25:1: log.connections: unknown key; `connections` belongs under [limits]",
        ],
    );
}

#[test]
fn lists_and_pairs_that_are_not_whole_are_refused() {
    let text = r#"
[listen]
https = []
http = [80, ["x"]]
admin = "0.0.0.0:443"
[acme]
directory = []
profile = ""
eab_key_id = "k"
[storage]
path = ""
"#;
    expect(
        &beside_a_good_ask(text),
        &[
            r#"4:9: listen.https: is empty; name an address, as in [":443"]"#,
            "5:9: listen.http: must be a string, not an integer; put it in double quotes",
            "5:13: listen.http: must be a string, not a list; put it in double quotes",
            "8:13: acme.directory: is empty; name a directory, or remove the key to use Let's Encrypt",
            "9:11: acme.profile: is empty or holds white space; write it as the authority gave it",
            "10:14: acme.eab_key_id: is set without eab_hmac_file; set eab_hmac_file as well, or remove both",
            "12:8: storage.path: is not a path; name a file or folder, or remove the key",
        ],
    );
    expect(
        &beside_a_good_ask("[acme]\neab_hmac_file = 'key'"),
        &["3:17: acme.eab_hmac_file: is set without eab_key_id; set eab_key_id as well, or remove both"],
    );
    expect(
        &beside_a_good_ask("acme.directory = ['https://a/', 'https://a']"),
        &["2:33: acme.directory: is listed twice; remove one of the two"],
    );
    expect(
        &beside_a_good_ask("listen.https = [':443']\nlisten.admin = '[::]:443'\nlisten.http = ['0.0.0.0:443']"),
        &[
            "3:16: listen.admin: [::]:443 is listed twice, the first time in listen.https; remove one of the two or choose another port",
        ],
    );
}

#[test]
fn a_database_takes_a_key_file_and_its_url_is_never_shown() {
    let storage = |text: &str| beside_a_good_ask(&format!("\n[storage]\n{text}"));
    expect(
        &storage("postgres = \"postgres://u:hunter2@db/x\""),
        &[
            "3:2: storage.key_file: is required; name a file with a line of `openssl rand -base64 32`, the same for every edge; private keys are kept in storage.postgres only when they are sealed",
        ],
    );
    expect(
        &storage("postgres = \"mysql://u:hunter2@db/x\"\nkey_file = \"k\""),
        &[
            "4:12: storage.postgres: is not the URL of a PostgreSQL database; write \"postgres://user:password@host/database\"",
        ],
    );
    expect(
        &storage("postgres = \"postgres://u:hunter2@db/x\"\nkey_file = 7"),
        &["5:12: storage.key_file: must be a string, not an integer; put it in double quotes"],
    );
    expect(
        &storage("postgres = \"postgres://db/x\"\npostgres_file = \"x\"\nkey_file = \"k\""),
        &[
            "5:17: storage.postgres_file: postgres is set as well; keep one of the two; postgres_file keeps the secret out of this file",
        ],
    );
}

#[test]
fn a_url_must_be_one_that_can_be_asked() {
    let url = |url: &str| format!("[ask]\nurl = \"{url}\"");
    expect(&url("127.0.0.1:8080/ask"), &["2:7: ask.url: has no scheme; start it with http:// or https://"]);
    expect(&url("ask"), &["2:7: ask.url: has no scheme; start it with http:// or https://"]);
    expect(&url("ftp://a/"), &["2:7: ask.url: is not an http or https URL; start it with http:// or https://"]);
    expect(&url("http://a/#x"), &["2:7: ask.url: has a fragment; remove `#` and what follows; it is never sent"]);
    expect(
        &url("http://u@a/"),
        &["2:7: ask.url: holds credentials; remove `user:password@`; such a secret would end in logs"],
    );
    expect(
        &url("http://"),
        &[r#"2:7: ask.url: is not a URL: empty host; write a full URL such as "https://host/path""#],
    );
    check(&url("https://a/ask?token=x")).unwrap();
}

#[test]
fn a_control_plane_is_a_url_and_a_token_or_nothing() {
    let control = |text: &str| format!("[control]\n{text}");
    let token = "token_file = 'edge.token'";
    expect(
        &control("url = 'http://a'"),
        &["2:7: control.url: is set without token_file; set token_file as well, or remove both"],
    );
    expect(&control(token), &["2:14: control.token_file: is set without url; set url as well, or remove both"]);
    for (url, problem) in [
        ("http://a/?x=hunter2", "has a query; remove `?` and what follows; paths are added to the URL"),
        ("http://u:hunter2@a/", "holds credentials; remove `user:password@`; such a secret would end in logs"),
        ("a:8080", "is not an http or https URL; start it with http:// or https://"),
    ] {
        expect(&control(&format!("url = '{url}'\n{token}")), &[&format!("2:7: control.url: {problem}")]);
    }
    expect(
        &control("token = 'hunter2'\nurl = 'http://a'\ntoken_file = ''"),
        &[
            "2:1: control.token: unknown key; did you mean `token_file`?",
            "4:14: control.token_file: is not a path; name a file or folder, or remove the key",
        ],
    );
}

#[test]
fn with_a_control_plane_the_ask_url_may_be_left_out() {
    let control = |rest: &str| format!("[control]\nurl = 'https://c.example/base/'\ntoken_file = 'edge.token'\n{rest}");
    let config = check(&control("")).unwrap();
    assert_eq!(config.ask.url.as_str(), "https://c.example/base/internal/ask");
    assert_eq!(config.control.unwrap().token_file.to_str(), Some("edge.token"));
    let config = check(&control("[ask]\nurl = 'http://other/'")).unwrap();
    assert_eq!(config.ask.url.as_str(), "http://other/");
}

#[test]
fn an_empty_file_lacks_only_the_ask_url() {
    expect(
        "",
        &[r#"1:1: ask.url: is required; add url = "http://…" under [ask]; without it every unknown name is refused"#],
    );
    expect(
        "# nothing\n[ask]\n",
        &[r#"2:2: ask.url: is required; add url = "http://…" under [ask]; without it every unknown name is refused"#],
    );
    expect(
        "[[ask]]\n",
        &["1:3: ask: must be one table, not a list of tables; write its header once, with single brackets: [ask]"],
    );
}

#[test]
fn columns_count_characters_after_a_byte_order_mark_and_windows_line_ends() {
    expect(
        "\u{feff}[ask]\r\nurl = 'http://a/'\r\n\"ключ\" = 1 \r\nx = 'ü' y\r\n",
        &[
            "3:1: ask.ключ: unknown key; the keys of [ask] are url, timeout",
            "4:9: ask.x: unexpected key or value, expected newline, `#`; see https://toml.io for the syntax",
        ],
    );
}

#[test]
fn no_mistake_and_no_debug_text_shows_a_secret() {
    let text = r#"
[ask]
url = "https://user:hunter2@ask.example/?token=hunter2#hunter2"
[acme]
eab_key_id = "kid"
eab_hmac_file = ["hunter2"]
eab_hmac = "hunter2"
directory = ["https://user:hunter2@ca.example/"]
[storage]
postgres = "postgres://user:hunter2@db/"
[proxy]
default_origin = "http://user:hunter2@app"
[control]
token = "hunter2"
"#;
    let mistakes = check(text).unwrap_err();
    assert_eq!(mistakes.count(), 7, "{mistakes}");
    assert!(!format!("{mistakes}{mistakes:?}{}", serde_json::to_string(&mistakes).unwrap()).contains("hunter2"));
    let good = "[ask]\nurl = 'http://a/?token=hunter2'\n[control]\nurl = 'http://a'\ntoken_file = 'hunter2'\n[acme]\neab_key_id = 'kid'\neab_hmac_file = 'hunter2'";
    assert!(!format!("{:?}", check(good).unwrap()).contains("hunter2"));
}

#[test]
fn a_mistake_keeps_to_its_line_and_to_a_bounded_length() {
    let long = "x".repeat(10_000);
    let text = beside_a_good_ask(&format!("[log]\nlevel = \"a\\n\\u001b[31m\"\naccess = \"{long}\"\n\"k\\ney\" = 1"));
    let mistakes = check(&text).unwrap_err();
    let printed = mistakes.to_string();
    assert_eq!(printed.lines().count(), mistakes.count(), "{printed}");
    assert!(!printed.contains('\u{1b}') && printed.len() < 1500, "{printed}");
}

#[test]
fn a_file_that_is_no_toml_gets_a_bounded_answer() {
    for line in ["a = b\n", "hello world\n", "[x\n", "{\n", "\"\n", "a = [\n"] {
        let mistakes = check(&line.repeat(20_000)).unwrap_err();
        assert!(mistakes.count() <= 200, "{line:?}: {}", mistakes.count());
    }
}

#[test]
fn mistakes_are_data_for_programs() {
    let mistakes = parse("edge.toml", "", [("NAMEGATE_EDGE__ASK".to_owned(), String::new())]).unwrap_err();
    let json = serde_json::to_value(&mistakes).unwrap();
    assert_eq!(json[0]["code"], "missing");
    assert_eq!(json[0]["place"], serde_json::json!({"file": "edge.toml", "line": 1, "column": 1}));
    assert_eq!(json[0]["key"], "ask.url");
    assert_eq!(json[1]["place"], serde_json::json!({"variable": "NAMEGATE_EDGE__ASK"}));
    assert!(matches!(mistakes.iter().next().unwrap().place, Place::File { line: 1, column: 1, .. }));
}

/// Texts that look like configuration more often than noise does.
fn near_toml() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "[ask]",
        "[acme]",
        "[[listen]]",
        "[limits]",
        "url",
        "timeout",
        "directory",
        "threads",
        "=",
        "\"",
        "'",
        "[",
        "]",
        "{",
        "}",
        ",",
        ".",
        "#",
        "\n",
        "\r\n",
        "\"\"\"",
        "http://a/",
        "1",
        "-9",
        "0x",
        "5s",
        "true",
        "\u{feff}",
        "ü",
        " ",
    ]);
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn no_text_and_no_variable_makes_parse_panic(text in any::<String>(), near in near_toml(), value in near_toml()) {
        let variables = ["ASK__URL", "ACME__DIRECTORY", "LIMITS__THREADS", "LIMITS__ASK_CACHE", "X"];
        let env = || variables.map(|name| (format!("NAMEGATE_EDGE__{name}"), value.clone()));
        for text in [&text, &near] {
            for result in [parse("edge.toml", text, []), parse("edge.toml", text, env())] {
                if let Err(mistakes) = result {
                    prop_assert!(mistakes.count() > 0);
                    prop_assert_eq!(mistakes.to_string().lines().count(), mistakes.count());
                }
            }
        }
    }
}

#[test]
fn every_mistake_of_acme_dns_is_told_with_its_key() {
    expect(
        &beside_a_good_ask(
            r#"
[acme.dns]
provider = "cloudflair"
zones = ["*.example.com", "acme.example.com", "example"]
names = ["*.*.example.com", "a.example.com"]
resolvers = []
propagation_timeout = "1s"
tokenfile = "a"
"#,
        ),
        &[
            r#"4:12: acme.dns.provider: `cloudflair` is not a choice; did you mean "cloudflare"?"#,
            r#"5:10: acme.dns.zones: `*.example.com` is no domain: a wildcard is not a hostname; write a domain name such as "acme.example.com""#,
            r#"5:47: acme.dns.zones: `example` is no domain: a single label is not a public hostname; write a domain name such as "acme.example.com""#,
            r#"6:10: acme.dns.names: `*.*.example.com` cannot be certified: a wildcard is not a hostname; write a hostname or a wildcard such as "*.apps.example.com""#,
            "7:13: acme.dns.resolvers: is empty; name a resolver, or remove the key for the public ones",
            "8:23: acme.dns.propagation_timeout: 1s is out of range; choose a value from 5s to 4m",
            "9:1: acme.dns.tokenfile: unknown key; did you mean `token_file`?",
        ],
    );
}

#[test]
fn acme_dns_is_set_as_a_whole_or_not_at_all() {
    expect(
        &beside_a_good_ask("acme.dns.provider = 'rfc2136'"),
        &[
            "2:21: acme.dns.provider: is set without token_file; set token_file as well, or remove the table",
            "2:21: acme.dns.provider: is set without zones; set zones as well, or remove the table",
        ],
    );
    expect(
        &beside_a_good_ask("[acme.dns]\nnames = ['*.example.com']"),
        &[
            "3:10: acme.dns.names: is set without provider; set provider, token_file and zones as well, or remove the table",
        ],
    );
    expect(
        &beside_a_good_ask("[acme]\ndns = 'cloudflare'"),
        &[
            "3:1: acme.dns: must be a table, not a value; write the header [acme.dns] on a line of its own and its keys below",
        ],
    );
    let empty = check(&beside_a_good_ask("[acme.dns]\nresolvers = ['192.0.2.1']")).unwrap();
    assert_eq!(empty.acme.dns, None);
}

#[test]
fn a_credential_written_in_place_of_its_file_is_not_shown() {
    let text = "[acme.dns]\nprovider = 'gandi'\ntoken_file = 'hunter2hunter2'\nzones = ['a.example']";
    let config = check(&beside_a_good_ask(text)).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}
