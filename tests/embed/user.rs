// SPDX-License-Identifier: MIT
// A node in Rust that embeds the library, with rustc alone: the declarations
// below are mpc_migration.h by hand, so a header that changes its layout or a
// symbol that is missing fails here. Feeds one state and waits for the hooks.
use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::time::Duration;

#[repr(C)]
struct Participant {
    id: u32,
    account: [c_char; 65],
    tls_key: [u8; 32],
    url: [c_char; 513],
}

#[repr(C)]
struct Participants {
    threshold: u64,
    count: usize,
    list: *const Participant,
}

#[repr(C)]
struct Change {
    before: *const Participants,
    after: *const Participants,
    epoch_before: u64,
    epoch_after: u64,
    purge_all: bool,
    gone: *const u32,
    gone_count: usize,
    active: bool,
}

type Unused = Option<unsafe extern "C" fn()>;
type OnChange = Option<unsafe extern "C" fn(*mut c_void, *const Change) -> c_int>;

#[repr(C)]
struct Host {
    ctx: *mut c_void,
    load_keyshares: Unused,
    import_keyshares: Unused,
    load_receipt: Unused,
    conclude: Option<unsafe extern "C" fn(*mut c_void, *const c_void) -> c_int>,
    participants_changed: OnChange,
    purge_assets: OnChange,
    job_changed: Option<unsafe extern "C" fn(*mut c_void, c_int)>,
    backup_served: Unused,
    recovered: Unused,
    hook_stats: Unused,
    log: Option<unsafe extern "C" fn(*mut c_void, c_int, *const c_char, *const c_char)>,
}

#[repr(C)]
struct Config {
    contract: *const c_char,
    account: *const c_char,
    identity_key: *const c_char,
    access_key: *const c_char,
    operator_key: *const c_char,
    state_dir: *const c_char,
    store_key: *const c_char,
    rpc: *const c_char,
    dialect: c_int,
    poll_interval_ms: u32,
    max_staleness_s: u32,
    listen: *const c_char,
    listen_plain: bool,
    listen_plain_anywhere: bool,
    admin: *const c_char,
    announce: c_int,
    key_delay_s: u32,
    skew_s: u32,
}

#[link(name = "mpcmigration")]
extern "C" {
    fn mig_start(config: *const Config, host: *const Host, out: *mut *mut c_void, why: *mut c_char) -> c_int;
    fn mig_check(config: *const Config, host: *const Host, why: *mut c_char) -> c_int;
    fn mig_feed(plugin: *mut c_void, part: c_int, height: u64, time_ns: u64, json: *const c_char, len: usize) -> c_int;
    fn mig_stop(plugin: *mut *mut c_void, drain_ms: u32);
    fn mig_address(plugin: *const c_void, which: c_int) -> *const c_char;
    fn mig_current_job(plugin: *mut c_void) -> c_int;
    fn mig_is_ready(plugin: *mut c_void) -> bool;
    fn mig_err_text(err: c_int) -> *const c_char;
    fn mig_version() -> *const c_char;
}

enum Event {
    Changed(u64, bool, bool, Vec<(u32, String)>),
    Purged(bool),
}

// The context outlives the plugin: main owns it until after mig_stop.
unsafe fn tell(ctx: *mut c_void, event: Event) -> c_int {
    (*(ctx as *const Sender<Event>)).send(event).expect("main listens");
    0
}

unsafe extern "C" fn changed(ctx: *mut c_void, change: *const Change) -> c_int {
    let c = &*change;
    let after = &*c.after;
    let list = std::slice::from_raw_parts(after.list, after.count);
    let names = list.iter().map(|p| (p.id, text(p.account.as_ptr()))).collect();
    tell(ctx, Event::Changed(c.epoch_after, c.active, c.before.is_null(), names))
}

unsafe extern "C" fn purge(ctx: *mut c_void, change: *const Change) -> c_int {
    tell(ctx, Event::Purged((*change).purge_all))
}

unsafe extern "C" fn conclude(_: *mut c_void, _: *const c_void) -> c_int {
    0
}

unsafe fn text(c: *const c_char) -> String {
    CStr::from_ptr(c).to_string_lossy().into_owned()
}

fn next(events: &Receiver<Event>) -> Event {
    events.recv_timeout(Duration::from_secs(20)).expect("a hook is called")
}

fn main() {
    let args: Vec<CString> = std::env::args().skip(1).map(|a| CString::new(a).unwrap()).collect();
    let state = std::fs::read_to_string(args[3].to_str().unwrap()).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let (contract, account, listen) = (c"v1.signer", c"nobody.near", c"127.0.0.1:0");
    let (sender, events) = channel::<Event>();
    let sender = Box::new(sender);
    unsafe {
        let mut config: Config = std::mem::zeroed();
        config.contract = contract.as_ptr();
        config.account = account.as_ptr();
        config.identity_key = args[0].as_ptr();
        config.store_key = args[1].as_ptr();
        config.state_dir = args[2].as_ptr();
        config.listen = listen.as_ptr();
        let mut host: Host = std::mem::zeroed();
        host.ctx = &*sender as *const Sender<Event> as *mut c_void;
        host.conclude = Some(conclude);
        host.participants_changed = Some(changed);
        host.purge_assets = Some(purge);
        let mut why = [0 as c_char; 512];
        let mut plugin = std::ptr::null_mut();
        assert_eq!(mig_check(&config, &host, why.as_mut_ptr()), 0, "{}", text(why.as_ptr()));
        assert_eq!(mig_start(&config, &host, &mut plugin, why.as_mut_ptr()), 0, "{}", text(why.as_ptr()));
        assert!(text(mig_address(plugin, 0)).starts_with("127.0.0.1:"));
        assert_eq!(mig_feed(plugin, 0, 100, now, c"{}".as_ptr(), 2), 1, "an empty state is malformed");
        assert_eq!(text(mig_err_text(1)), "malformed");
        assert_eq!(mig_feed(plugin, 0, 100, now, state.as_ptr() as *const c_char, state.len()), 0);
        assert_eq!(mig_feed(plugin, 1, 100, now, c"{}".as_ptr(), 2), 0);
        match next(&events) {
            Event::Changed(epoch, active, first, names) => {
                assert!(first && !active);
                assert!(!names.is_empty() && names.iter().all(|(_, account)| account.contains('.')));
                println!("rust: epoch {epoch}, {} participants, first {:?}", names.len(), names[0]);
            }
            Event::Purged(_) => panic!("purged before connections were told"),
        }
        assert!(matches!(next(&events), Event::Purged(true)));
        assert_eq!(mig_current_job(plugin), 0);
        let _ = mig_is_ready(plugin);
        mig_stop(&mut plugin, 100);
        assert!(plugin.is_null());
        println!("rust: {} started, fed, told and stopped", text(mig_version()));
    }
}
