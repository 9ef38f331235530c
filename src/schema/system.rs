//! The collections of the system, in the same format as everybody's.

use std::sync::LazyLock;

use super::declare::{self, CollectionDecl};
use super::findings::Findings;
use super::model::Origin;
use crate::yaml;

/// Their files, in the order of names.
const FILES: &[(&str, &str)] = &[
    ("system/directus_access.yaml", include_str!("system/directus_access.yaml")),
    ("system/directus_activity.yaml", include_str!("system/directus_activity.yaml")),
    ("system/directus_collections.yaml", include_str!("system/directus_collections.yaml")),
    ("system/directus_comments.yaml", include_str!("system/directus_comments.yaml")),
    ("system/directus_dashboards.yaml", include_str!("system/directus_dashboards.yaml")),
    ("system/directus_deployment_projects.yaml", include_str!("system/directus_deployment_projects.yaml")),
    ("system/directus_deployment_runs.yaml", include_str!("system/directus_deployment_runs.yaml")),
    ("system/directus_deployments.yaml", include_str!("system/directus_deployments.yaml")),
    ("system/directus_extensions.yaml", include_str!("system/directus_extensions.yaml")),
    ("system/directus_fields.yaml", include_str!("system/directus_fields.yaml")),
    ("system/directus_files.yaml", include_str!("system/directus_files.yaml")),
    ("system/directus_flows.yaml", include_str!("system/directus_flows.yaml")),
    ("system/directus_folders.yaml", include_str!("system/directus_folders.yaml")),
    ("system/directus_migrations.yaml", include_str!("system/directus_migrations.yaml")),
    ("system/directus_notifications.yaml", include_str!("system/directus_notifications.yaml")),
    ("system/directus_operations.yaml", include_str!("system/directus_operations.yaml")),
    ("system/directus_panels.yaml", include_str!("system/directus_panels.yaml")),
    ("system/directus_permissions.yaml", include_str!("system/directus_permissions.yaml")),
    ("system/directus_policies.yaml", include_str!("system/directus_policies.yaml")),
    ("system/directus_presets.yaml", include_str!("system/directus_presets.yaml")),
    ("system/directus_relations.yaml", include_str!("system/directus_relations.yaml")),
    ("system/directus_revisions.yaml", include_str!("system/directus_revisions.yaml")),
    ("system/directus_roles.yaml", include_str!("system/directus_roles.yaml")),
    ("system/directus_sessions.yaml", include_str!("system/directus_sessions.yaml")),
    ("system/directus_settings.yaml", include_str!("system/directus_settings.yaml")),
    ("system/directus_shares.yaml", include_str!("system/directus_shares.yaml")),
    ("system/directus_translations.yaml", include_str!("system/directus_translations.yaml")),
    ("system/directus_users.yaml", include_str!("system/directus_users.yaml")),
    ("system/directus_versions.yaml", include_str!("system/directus_versions.yaml")),
];

/// Read once: a project that is watched is loaded on every save.
static COLLECTIONS: LazyLock<Vec<CollectionDecl>> = LazyLock::new(|| read(&mut Findings::default()));

/// All system collections as declared. The test below makes sure that their files are flawless.
pub fn collections() -> Vec<CollectionDecl> {
    COLLECTIONS.clone()
}

/// Whether a place is in one of these files, which are part of the program.
pub fn is_own_file(file: &str) -> bool {
    FILES.iter().any(|(path, _)| *path == file)
}

fn read(findings: &mut Findings) -> Vec<CollectionDecl> {
    let mut decls = Vec::with_capacity(FILES.len());
    for (path, text) in FILES {
        let (root, diagnostics) = yaml::parse(path, text.as_bytes());
        findings.extend(diagnostics);
        decls.extend(root.and_then(|root| declare::collection(&root, None, Origin::System, findings)));
    }
    decls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_files_are_flawless_and_complete() {
        let mut findings = Findings::default();
        let decls = read(&mut findings);
        assert_eq!(findings.into_sorted(), []);
        assert_eq!(decls.len(), FILES.len());
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/schema/system");
        assert_eq!(std::fs::read_dir(folder).map(Iterator::count).ok(), Some(FILES.len()));
        assert!(decls.is_sorted_by(|left, right| left.name.text < right.name.text));
        assert!(decls.iter().all(|decl| decl.key_type().is_some()));
    }
}
