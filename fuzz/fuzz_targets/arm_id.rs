//! ARM ids: what is accepted reads the same when written out, and every part of it can be asked for.
#![no_main]

use azir::ids::ArmId;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(id) = text.parse::<ArmId>() else {
        return;
    };
    let again: ArmId = id.to_string().parse().expect("an id that was written out");
    assert_eq!(again.as_str(), id.as_str());
    assert!(!id.name().is_empty() && !id.resource_type().is_empty());
    let mut at = Some(id);
    while let Some(id) = at {
        let (_, _) = (id.subscription(), id.resource_group());
        at = id.parent();
        assert!(
            at.as_ref()
                .is_none_or(|parent| parent.as_str().len() < id.as_str().len())
        );
    }
});
