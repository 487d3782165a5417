use std::collections::BTreeSet;

use super::*;

async fn scan(store: &FileStore) -> (Vec<Scanned>, usize) {
    let (mut all, mut pieces) = (Vec::new(), 0);
    let mut visit = |piece: Vec<Scanned>| {
        assert!((1..=256).contains(&piece.len()));
        pieces += 1;
        all.extend(piece);
        true
    };
    store.scan(&mut visit).await.unwrap();
    (all, pieces)
}

#[tokio::test]
async fn a_scan_reports_every_sound_certificate_and_skips_the_broken() {
    let bench = Bench::new();
    let authority = Authority::new();
    assert_eq!(scan(&bench.store).await, (Vec::new(), 0));
    let mut expected = BTreeSet::new();
    for number in 0..20 {
        let text = format!("n{number}.example.com");
        bench.put_bundle(&text, &by(["one", "two"][number % 2], at(&authority, &text, 1_000)));
        expected.insert(text);
    }
    bench.put("certificates/one/broken.example.com/broken.example.com.crt", "no certificate");
    bench.put("certificates/one/empty.example.com/empty.example.com.crt", "");
    bench.put("certificates/two/file.example.com", "a file in place of the folder");
    bench.put("certificates/three", "a file in place of an issuer");
    bench.put_bundle("wildcard_.example.com", &by("one", at(&authority, "*.example.com", 1_000)));
    expected.insert("*.example.com".to_owned());
    // What does not count: staging folders, orders that were not finished, folders of no subject.
    bench.put("certificates/one/unfinished.example.com/unfinished.example.com.key", "");
    bench.put("certificates/one/Upper.example.com/Upper.example.com.crt", "");
    bench.put("certificates/.namegate-staging/x/0/a.crt", "");
    let (found, _) = scan(&bench.store).await;
    let names: BTreeSet<String> = found.iter().map(|scanned| scanned.name.to_string()).collect();
    assert_eq!(names, expected);
    assert_eq!(found.len(), 21);
    assert!(found.iter().all(|s| s.not_before.as_secs() == 1_000 && s.not_after.as_secs() == 1_001_000));
    assert_eq!(bench.broken(), 3.0);
}

#[tokio::test]
async fn a_scan_goes_in_pieces_and_ends_when_told() {
    let bench = Bench::new();
    let bundle = Authority::new().bundle(&["a.example.com"]);
    for number in 0..600 {
        let stem = format!("n{number}.example.com");
        bench.put(&certificate_key("one", &stem, "crt"), &bundle.chain_pem);
    }
    let (found, pieces) = scan(&bench.store).await;
    assert_eq!((found.len(), pieces), (600, 3));
    let mut pieces = 0;
    bench
        .store
        .scan(&mut |_| {
            pieces += 1;
            false
        })
        .await
        .unwrap();
    assert_eq!(pieces, 1);
}

/// Not a promise but a figure, printed: `cargo nextest run -p certs --run-ignored only cost_of --no-capture`.
#[tokio::test]
#[ignore = "prints a figure"]
async fn cost_of_20_000_entries() {
    let bench = Bench::new();
    let bundle = Authority::new().bundle(&["a.example.com"]);
    for number in 0..20_000 {
        bench.put(&certificate_key("one", &format!("n{number}.example.com"), "crt"), &bundle.chain_pem);
    }
    let before = resident_kib();
    let started = tokio::time::Instant::now();
    let (mut count, mut peak) = (0, 0);
    bench
        .store
        .scan(&mut |piece| {
            count += piece.len();
            peak = peak.max(resident_kib());
            true
        })
        .await
        .unwrap();
    println!("{count} entries in {:?}; resident {before} KiB before, {peak} KiB at most", started.elapsed());
    let registry = Registry::new();
    let started = tokio::time::Instant::now();
    FileStore::open(bench.folder.path(), &registry).unwrap();
    println!("open: {:?}", started.elapsed());
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
